/** Which entry to resolve in place of which of loro-crdt's: for `resolve.alias` of Vite, webpack and others. */
export const aliases: { readonly [specifier: string]: string };
export default aliases;
