export { type LoopAddress, loopAddress } from './address.js'
export {
  type AnnotatorStatus,
  annotatorStatusSchema,
  type SegmentationAnnotation,
  segmentationAnnotationSchema,
  toAnnotatorStatus,
  type UserInput,
  userInputSchema,
} from './annotator.js'
export { type Answer, answerSchema, errorAnswer, okAnswer, REFUSED, toAnswer } from './answer.js'
export { type Category, type Context, categorySchema, contextSchema } from './category.js'
export {
  type BoxDetection,
  boxDetectionSchema,
  type ClassificationDetection,
  classificationDetectionSchema,
  type Detections,
  type DetectionsStamp,
  detectionsSchema,
  detectionsUploadSchema,
  type FoundInImage,
  maxDetectionsPerPost,
  type PointDetection,
  pointDetectionSchema,
  type SegmentationDetection,
  type Shape,
  segmentationDetectionSchema,
  shapeSchema,
  toDetections,
  toShapeText,
} from './detections.js'
export {
  type AboutAnswer,
  aboutAnswerSchema,
  type ModelInfo,
  type ModelVersionAnswer,
  modelInfoSchema,
  modelVersionAnswerSchema,
  toVersionText,
  versionChoiceSchema,
} from './detector-model.js'
export {
  type ArrayImage,
  arrayImageSchema,
  type BatchDetectAnswer,
  type BatchDetectEvent,
  batchDetectAnswerSchema,
  batchDetectEventSchema,
  cameraIdOf,
  type DetectEvent,
  detectEventSchema,
  jpegImageSchema,
  type SocketImage,
  type SocketStatus,
  socketImageSchema,
  socketStatusSchema,
  type UploadEvent,
  uploadEventSchema,
} from './detector-socket.js'
export {
  type DetectorCondition,
  type DetectorReport,
  type DetectorStatus,
  type DetectorStatusView,
  type DetectorTarget,
  detectorReportSchema,
  detectorStatusSchema,
  detectorTargetSchema,
  toDetectorReport,
  toDetectorStatus,
} from './detector-status.js'
export {
  type AnnotationEventType,
  type Autoupload,
  annotationEventTypes,
  autouploads,
  type CategoryType,
  categoryTypes,
  type Dialect,
  dialects,
  type ImageSet,
  type ImageState,
  imageSets,
  imageStates,
  type NodeState,
  type NodeType,
  nodeStates,
  nodeTypes,
  type OperationMode,
  type OutboxMode,
  operationModes,
  outboxModes,
  type VersionMode,
  versionModes,
} from './enums.js'
export { type LoopEvent, loopEvents, type NodeEvent, nodeEventAckMs } from './events.js'
export { type GeneratorConfig, generatorConfigSchema } from './generator-config.js'
export {
  type Hyperparameters,
  type Hyperparameters08,
  hyperparameters08Schema,
  hyperparametersSchema,
  toHyperparameters08,
} from './hyperparameters.js'
export { isLoopId, isUuid, loopIdSchema } from './ids.js'
export {
  type BoxAnnotation,
  boxAnnotationSchema,
  type ImageData,
  type ImagesAnswer,
  imageCategorySchema,
  imageDataSchema,
  imagesAnswerSchema,
  maxImagesPerRequest,
  type PointAnnotation,
  type PolygonAnnotation,
  pointAnnotationSchema,
  polygonAnnotationSchema,
} from './image-data.js'
export {
  type ImageMetadata,
  imageMetadataSchema,
  namedBoxAnnotationSchema,
  namedPointAnnotationSchema,
  type UploadedImage,
  uploadedImageSchema,
  withShapeTexts,
} from './image-metadata.js'
export {
  type ModelJson,
  modelJsonSchema,
  toModelJsonText,
  toUploadedModelJson,
  type UploadedModelJson,
  uploadedModelJsonSchema,
} from './model-json.js'
export { type ErrorConfiguration, errorConfigurationSchema, switchSchema } from './node-api.js'
export {
  type BeginTraining08,
  type BeginTrainingCurrent,
  beginTraining08Schema,
  beginTrainingCurrentSchema,
} from './orders.js'
export { paths } from './paths.js'
export { describeError, ProtocolError, type ProtocolErrorCode, parseMessage } from './protocol-error.js'
export {
  type DataAnswer,
  type DeploymentTarget,
  dataAnswerSchema,
  deploymentTargetSchema,
  errorDetailSchema,
  loginFormSchema,
  type ModelEntry,
  type ModelsAnswer,
  type ModelUploadAnswer,
  modelEntrySchema,
  modelsAnswerSchema,
  modelUploadAnswerSchema,
  noveltyScoresSchema,
  type ProjectAnswer,
  type ProjectEntry,
  type ProjectsAnswer,
  projectAnswerSchema,
  projectEntrySchema,
  projectsAnswerSchema,
  type TrainingsAnswer,
  trainingsAnswerSchema,
} from './rest-answers.js'
export { toLocalTimestamp } from './timestamps.js'
export { parseTrainerState, stateText08, type TrainerState, toStateText, trainerStates } from './trainer-states.js'
export {
  dialectOfTrainerStatus,
  type PretrainedModel,
  pretrainedModelSchema,
  type TrainerStatus,
  type TrainerStatus08,
  type TrainerStatusCurrent,
  type TrainerStatusView,
  toTrainerStatus,
  trainerStatus08Schema,
  trainerStatusCurrentSchema,
  trainerStatusSchema,
} from './trainer-status.js'
export {
  type ClassMetrics,
  type ConfusionMatrix,
  classMetricsSchema,
  confusionMatrixSchema,
  type MetricsView,
  type TrainingMetrics,
  type TrainingMetrics08,
  type TrainingMetricsCurrent,
  toTrainingMetrics,
  trainingMetrics08Schema,
  trainingMetricsCurrentSchema,
  trainingMetricsSchema,
} from './training-metrics.js'
export {
  type BaseModel,
  parseBeginTraining,
  type TrainingOrder,
  trainingOrderSchema,
  warningsAboutOrder,
} from './training-order.js'
