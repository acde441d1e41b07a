// The core build has none of these free functions.
export {};
