// LoroCounter beside the engine's own package.
import { same } from "./reference/index.mjs";

same("a counter counts, alone and with others", ({ doc, note, attempt, LoroCounter, LoroList, LoroMap }) => {
  const a = doc();
  const b = doc(2);
  const counter = a.getCounter("c");
  a.subscribe((event) => note(event.by, event.events));
  counter.subscribe((event) => note("counter", event.currentTarget, event.events));
  note(counter.kind(), counter.id, counter.value, counter.toJSON(), counter.getShallowValue(), counter.parent(), counter.isAttached());
  counter.increment(2);
  counter.decrement(0.5);
  counter.increment(-3);
  a.commit();
  b.getCounter("c").increment(10);
  a.import(b.export({ mode: "update" }));
  note(counter.value, a.toJSON(), a.getShallowValue());
  const detached = new LoroCounter();
  note(detached.id, detached.value, detached.getAttached(), detached.isAttached());
  attempt("detached", () => detached.increment(3));
  note(detached.value);
  attempt("subscribe", () => detached.subscribe(() => {}));
  attempt("into a map", () => a.getMap("m").setContainer("c", new LoroCounter()).increment(1));
  attempt("into a list", () => a.getList("l").insertContainer(0, new LoroCounter()).increment(4));
  const nested = a.getMap("m").setContainer("d", new LoroMap()).setContainer("n", new LoroCounter());
  nested.increment(7);
  note(nested.parent(), nested.getAttached().id, a.toJSON(), a.getMap("m").get("c"), a.getList("l").toArray());
  attempt("by id", () => a.getContainerById(nested.id));
  attempt("by its own id", () => a.getCounter(nested.id).value);
  attempt("a name with a slash", () => a.getCounter("a/b"));
  attempt("no number", () => counter.increment(NaN));
  note(new LoroList().kind());
});
