// The core build adds nothing to the document API.
export function completeExtras() {}
