// The core build has no records and no backups.
export function completeRepo() {}
