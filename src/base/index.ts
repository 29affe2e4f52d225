export { RunSupersededError, TrainingAbortedError, TrainingStoppedError, WorkerShutdownError } from './abort-reasons.js'
export { availableCpus } from './available-cpus.js'
export { type BackOffOptions, backOffMs, retry, UNCLASSIFIED_ATTEMPTS } from './back-off.js'
export { createClockWatch } from './clock-watch.js'
export { type Closers, createClosers, openResource, withClosers } from './closers.js'
export {
  type FailureClass,
  failureClassOf,
  InvalidInputError,
  isUnclassified,
  LoopfleetError,
  type LoopfleetErrorOptions,
  messageOf,
} from './errors.js'
export { every } from './every.js'
export { RESTART_EXIT_CODE } from './exit-codes.js'
export {
  hasCode,
  linkOrCopy,
  readJsonFile,
  removeTree,
  safePathSegment,
  syncFolder,
  writeFileAtomic,
  writeJsonFile,
} from './files.js'
export { helperEnvironment, isAllowedBy, nvidiaVariables, pipVariables, withEnvironment } from './helper-environment.js'
export { inBatches } from './in-batches.js'
export { isWithin } from './is-within.js'
export { type FileLine, readJsonLines, tailJsonLines } from './json-lines.js'
export { isNear } from './near-names.js'
export { parsePythonJson } from './python-json.js'
export { createService, type Open, type OwnedService, type Service } from './service.js'
export { namedRemainders, type Remainder, tryToRemove } from './try-to-remove.js'
