export { ArchiveRefusedError } from './archive-error.js'
export { EntryNames } from './entry-names.js'
export { unzipChecked } from './unzip.js'
