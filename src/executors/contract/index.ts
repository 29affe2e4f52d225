export {
  CONVERSION_FILE,
  type ConversionFile,
  conversionFileSchema,
  MODEL_FOLDER,
  OUTPUT_FOLDER,
  writeConversionFile,
} from './conversion-file.js'
export { allowedVariables, programEnvironment, pythonHelperFolder } from './environment.js'
export {
  CommandFailedError,
  CommandTimedOutError,
  ConverterFileError,
  DatasetError,
  GpusUnreadableError,
  ModelNotConvertibleError,
  NotEnoughGpusError,
  OrderNotPossibleError,
  TrainerFileError,
} from './errors.js'
export { createOffsetNote, OFFSET_FILE, readOffset, saveOffset } from './event-offset.js'
export {
  EVENTS_FILE,
  eventSchema,
  type ModelEvent,
  type ProgressEvent,
  parseEventLine,
  type TrainerEvent,
} from './events.js'
export { killedForMemory, looksOutOfMemory, OUT_OF_MEMORY } from './out-of-memory.js'
export { isInnerPath } from './paths.js'
export { parsePythonJson } from './python-json.js'
export { type VisibleGpu, visibleGpus } from './visible-gpus.js'
export {
  BACKDOOR_FILE,
  BASE_MODEL_FOLDER,
  DATASET_FOLDER,
  setResume,
  TRAINING_FILE,
  trainingFileSchema,
  writeWorkspace,
} from './workspace.js'
