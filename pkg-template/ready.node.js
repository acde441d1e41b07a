// Loads the module in releases of Node that give their file system to imports only.
import fs from "node:fs";
import { loadInNode } from "./ready.js";

loadInNode(fs);
