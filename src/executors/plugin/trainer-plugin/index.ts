export type { ConfusionMatrix } from '../../../loop/protocol/index.js'
export type { TrainerReports } from './reports.js'
export {
  type Awaitable,
  type BestState,
  type ConvertStep,
  defineTrainer,
  type ImageDetections,
  type ImageToDetect,
  type ModelFiles,
  type ModelFolder,
  type ProgramToRun,
  type Started,
  type TrainerLogic,
  type Training,
} from './trainer-logic.js'
