import { start } from "./notebook.js";
import { rich } from "./rich-editor.js";

await start(rich);
