// JSONPath beside the engine's own package.
import assert from "node:assert/strict";
import { test } from "node:test";
import { corella, same } from "./reference/index.mjs";

const PATHS = `
$ $.store $.store.books $.store.books[0] $.store.books[-1] $.store.books[9] $.store.books[*].title $.store['books'][0]["title"]
$..title $..* $.* $.store.* $.store..price $..books[0,2].title $.store.books[1:3].title $.store.books[::-1].price $.store.books[-2:].title
$.store.books[5:1:-2].title $.store.books[:2] $.store.books[::0] $.store.books[0:9:2].title $.nothing $.store.books.title $.store[0]
$.store.books[?@.price] $.store.books[?@.price>9].title $.store.books[?@.price>=9&&@.available==true].title $.store.books[?(@.price==9||@.price==8)].title
$.store.books[?!@.isbn].title $.store.books[?@.isbn].title $.store.books[?!(@.price>9)].title $.store.books[?@.price==null].title $.store.books[?@.title=='1984'].price
$.store.books[?@.title=="1984"].price $.store.books[?@.title!='1984'].price $.store.books[?@.price!=10].title $.store.books[?@['price']<10]
$.store.books[?@.price==$.store.min].title $.store.books[?$.store.min] $.store.books[?count(@.*)>3].title $.store.books[?count(@..*)==0]
$.store.books[?length(@.title)>4].title $.store.books[?length('abc')==3].title $.store.books[?value(@.price)==10].title $.store.books[?value(@.*)==10]
$.nested[?length(value(@.a))>0] $.nested.list[?@>1] $.nested.list[?@==2||@=='x'] $.nested.list[?@[0]==1] $.nested.object.a $.nested.object['b'].c $.nested.list[3][1]
$.movable[*] $.movable[1:] $.movable[?@>1] $.text $.text[0] $.text.a $.tree $.counter $.counter[0] $['store']['books'] $["store/min"] $['store/books/0/title']
$.nested['é'] $.nested.é $.nested['a\\'b'] $.nested["a\\"b"] $.nested['\\u00e9'] $.nested["\\ud83d\\ude00"] $.nested.😀 $.nested['tab\\tx']
$.store.books[?@.tags[0]=='new'].title $.store.books[?@.tags[?@=='new']].title $.store.books[?@..x] $.numbers[?@==0.3] $.numbers[?@<-1] $.numbers[?@==1e2] $.numbers[?@==-0]
$.store.books[?1==1].title $.store.books[?'a'<'b'].price $.store.books[?true==@.available].title $.store.books[?null==null].title $.store.books[?null!=null]
$.store.books[?@.author==@.title] $.store.books[?@.price>'5'] $.nested[?@.b] $.nested[?@.b.c==1] $.nested[?@.a[1]==2] $.text[?@] $.store.books[?@[?@.x]]
$x . $. $.. $[ $] $[] $[?] $.a[ $['a'  $[01] $[-0] $[1.5] $[?@.a=] $[?@.a==] $[?a] $[?count(@)] $[?count(@.a)==1] $[?foo(@.a)] $[?length()] $[?length(@.*)==1]
$[?count('a')==1] $[?length(@.a,@.b)==1] $[9007199254740991] $[9007199254740992] $[?@.a[*]==1] $[?(@.a)==1] $['\\x'] $['\\ud800'] $["a'b"] $['a"b'] $...a $.a.[b] $.1a $.a-b @.a
`.trim().split(/\s+/);
const SPACED = [
  "$ .store .books", "$.store.books[ 0 ]", "$.store.books[ 0 , 1 ].title", "$.store.books[ 1 : 3 ].title", "$.store.books[1 :3: 1].title",
  "$.store.books[? @.price > 9 && @.available == true ].title", "$.store.books[?@.title contains 'a'].title", "$.store.books[?@.title contains ''].title",
  "$.store.books[?@.price in [8, 9, 'x']].title", "$.store.books[?@.title in ['1984', \"Sula\"]].price", "$.store.books[?'new' in @.tags].title",
  "$.store.books[?@.price in $.nested.list].title", "$.store.books[?! @.isbn].title", "$.store.books[? ( @.price == 9 ) || ! ( @.price < 10 )].title",
  "$.store.books[?@.tags contains 'new']", "$.store.books[?@.price in []]", "$.store.books[?length( @.title ) == 4]", "$[?match(@.a", "$. store", "$.store. books",
  " $", "$ ", "$.store ", "$['a b']", "$.store.books[?@.price == 9 @.x]", "$[?@.a == 1 && ]", "$[?(@.a == 1]",
];

function library({ doc, LoroList, LoroMap, LoroText }) {
  const a = doc();
  const store = a.getMap("store");
  store.set("min", 9);
  const books = store.setContainer("books", new LoroList());
  const all = [["1984", 10, true, "x1"], ["Sula", 8, true], ["Dune", 12, false, "x2"], ["Emma", 9, true, "x3"], ["Ulysses", null, false]];
  for (const [title, price, available, isbn] of all) {
    const book = books.pushContainer(new LoroMap());
    book.set("title", title);
    book.set("price", price);
    book.set("available", available);
    if (isbn) book.set("isbn", isbn);
    if (title === "Dune") book.set("tags", ["new", "long"]);
    if (title === "Emma") book.setContainer("author", new LoroText()).insert(0, "Emma");
  }
  const nested = a.getMap("nested");
  nested.set("object", { a: [1, 2, { c: 3 }], b: { c: 1 } });
  nested.set("list", [1, 2, "x", [4, 5], [1]]);
  for (const key of ["é", "a'b", 'a"b', "😀", "tab\tx"]) nested.set(key, key);
  a.getList("numbers").insert(0, 0.1 + 0.2);
  for (const number of [0, -1.5, 100, 7]) a.getList("numbers").push(number);
  for (const item of [1, 2, 3]) a.getMovableList("movable").push(item);
  a.getText("text").insert(0, "a😀b");
  a.getTree("tree").createNode();
  a.getCounter("counter").increment(2);
  return a;
}

const sorted = (found) => (Array.isArray(found) ? found.map((item) => JSON.stringify(item?.toJSON?.() ?? item ?? null)).sort() : found);

// The engine cannot walk through trees and ends the module there, so the root of all is left to the test below.
const WALKS_A_TREE = /^\$\.\.|^\$\.\*$/;

same("paths find the same, and what is no path throws", (tools) => {
  const a = library(tools);
  for (const path of [...PATHS, ...SPACED]) {
    if (WALKS_A_TREE.test(path)) continue;
    let found;
    try {
      found = a.JSONPath(path);
    } catch {
      tools.note(path, "throws");
      continue;
    }
    // Maps are not ordered.
    tools.note(path, path.includes("*") || path.includes("..") || path.includes("nested[") ? sorted(found) : found);
  }
});

test("walking everything works where there is a tree too", () => {
  const a = library({ doc: () => new corella.LoroDoc(), ...corella });
  assert.deepEqual(a.JSONPath("$..title"), ["1984", "Sula", "Dune", "Emma", "Ulysses"]);
  assert.equal(a.JSONPath("$.*").length, 7);
  assert.equal(a.JSONPath("$..*").filter((item) => corella.isContainer(item)).length, 14);
  assert.throws(() => a.JSONPath("$[?match(@.a, 'x')]"), /match\(\) is not implemented/);
  assert.throws(() => a.JSONPath(7), Error);
});

same("subscriptions are told of the same changes", ({ note, attempt, ...tools }) => {
  const a = library({ note, attempt, ...tools });
  a.commit();
  const told = [];
  const ends = [];
  for (const path of ["$.store.books[0].title", "$.store.books[*].price", "$..title", "$.nested.object", "$.counter", "$.store[?@.x]", "$", "$.text", "$.nested[0]", "$.movable[1]"]) {
    ends.push(a.subscribeJsonpath(path, (...args) => told.push([path, args.length])));
  }
  attempt("bad path", () => a.subscribeJsonpath("$[", () => {}));
  const step = (label, edit) => {
    edit();
    a.commit();
    note(label, told.splice(0).sort());
  };
  const books = a.getMap("store").get("books");
  step("title", () => books.get(0).set("title", "new"));
  step("price", () => books.get(1).set("price", 1));
  step("insert", () => books.insert(0, "x"));
  step("delete", () => books.delete(0, 1));
  step("nested", () => a.getMap("nested").set("object", 1));
  step("other", () => a.getMap("nested").set("other", 1));
  step("counter", () => a.getCounter("counter").increment(1));
  step("text", () => a.getText("text").push("!"));
  step("tree", () => a.getTree("tree").createNode());
  step("node data", () => a.getTree("tree").roots()[0].data.set("title", 1));
  step("movable", () => a.getMovableList("movable").move(0, 1));
  step("store", () => a.getMap("store").set("min", 3));
  ends.forEach((end) => end());
  step("ended", () => books.get(0).set("title", "again"));
});
