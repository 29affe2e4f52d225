export { InferenceError, type InferenceErrorCode, inferenceErrorCodes } from './errors.js'
export { lostThreadCount, noteThread, threadState, tooManyThreadsLost, unendedThreadCount } from './lost-threads.js'
export {
  begunImages,
  condemn,
  createNativeGuard,
  type InsideNative,
  insideNative,
  type Limits,
  markBegun,
  type NativeGuard,
  watchGuard,
} from './native-guard.js'
