export { causeOf, type FailedAttempt, type PlaceGpu } from './blame/attempt.js'
export { type AttemptsOfFleet, createAttemptsOfFleet } from './blame/attempts-of-fleet.js'
export { provenHosts } from './blame/known-attempts.js'
export { type GpusToSpare, gpusToSpare, type NextAttempt, nextAttempt } from './blame/next-attempt.js'
export { type Suspension, suspensionsOf } from './blame/suspensions.js'
export {
  type ConversionFailure,
  type ConversionOrder,
  type ConversionPayload,
  type ConversionRecord,
  conversionIdOf,
} from './conversions/conversion-record.js'
export { type Conversions, createConversions, type UploadedModelName } from './conversions/conversions.js'
export {
  createFleet,
  type Fleet,
  type FleetHost,
  type FleetNode,
  type KnownHost,
  type NotServed,
  type PreflightReport,
  type Seen,
  type SuspendedPart,
} from './fleet/fleet.js'
export { type BoardQueues, createBoardQueues } from './jobs/board-queues.js'
export type { JobHandle } from './jobs/job-handle.js'
export {
  type MetricsJob,
  metricsJobSchema,
  type ScanJob,
  type StepProgress,
  scanJobSchema,
  stepJobSchema,
  stepProgressSchema,
} from './jobs/job-schemas.js'
export type { JobView } from './jobs/job-view.js'
export { queueNames, type Stage, stages, type WorkKind, workKinds } from './jobs/names.js'
export { createQueues, type Queues } from './jobs/queues.js'
export type { StepHandle, StepQueue } from './jobs/step-queue.js'
export { type ChangeFeed, createChangeFeed } from './records/change-feed.js'
export { createLeaseKeeper } from './records/lease-keeper.js'
export { type Claim, type Claimant, createLeases, type Renewal } from './records/leases.js'
export { checkFolderReader } from './records/least-reader.js'
export { PROTOCOL } from './records/protocol.js'
export { fits, type HostOffer, rank, seenBy, type WaitingRecord } from './records/rank.js'
export { lostSentence, RecordInvalidError, RecordLostError } from './records/record-errors.js'
export type { FleetRecord, Intent, IntentKind, RecordKind } from './records/record-schema.js'
export type { Claimed, Mark, Offered, Records, ReleaseOptions, RunInRedis } from './records/records.js'
export type { LogEntry, TrainingLog } from './records/training-log.js'
export { errorKeyOf } from './trainings/error-keys.js'
export { type FailureFacts, failureOf } from './trainings/failure-facts.js'
export { reportedErrors } from './trainings/reported-errors.js'
export type { CurvePoint } from './trainings/training-curve.js'
export { type TrainingPayload, toTraining, trainingPayloadSchema } from './trainings/training-payload.js'
export {
  type TrainingOutcome,
  type TrainingProgressFields,
  type TrainingRecord,
  trainingName,
} from './trainings/training-record.js'
export { warningsOf, withWarning } from './trainings/training-warnings.js'
export { createTrainings, type Trainings } from './trainings/trainings.js'
export type { TrainingControl, TrainingsOfFleet } from './trainings/trainings-of-fleet.js'
export { isWaiting, noHostSentence, shownOutcome, waitsForSlots } from './trainings/waiting.js'
export { takingOffers, type WaitingReason, whyTrainingWaits } from './waiting-reason.js'
