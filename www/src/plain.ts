import { plain } from "./note-editor.js";
import { start } from "./notebook.js";

await start(plain);
