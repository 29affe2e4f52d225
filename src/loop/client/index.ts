export { createImageExchange, type ImageExchange } from './images/image-exchange.js'
export { createImageUpload, type ImageUpload, isContentRefusal, type UploadImage } from './images/image-upload.js'
export type { DownloadedModel } from './models/model-download.js'
export { createModelExchange, type ModelExchange } from './models/model-exchange.js'
export { readModelJson } from './models/model-files.js'
export { onAbort, sleepUnlessAborted, unlessAborted } from './session/abort-signals.js'
export {
  EventRefusedError,
  isAccountRefused,
  LoopAnswerError,
  LoopClosedError,
  LoopLoginError,
  LoopRequestError,
  LoopSocketError,
} from './session/errors.js'
export { inWords, networkCause, type Peer, peerOf } from './session/network-cause.js'
export { createLoopRest, type LoopRest } from './session/rest.js'
export { runBounded } from './session/run-bounded.js'
export { createLoopSession, type LoopSession } from './session/session.js'
