export { openTrainingBackdoor } from './trainings/training-backdoor.js'
export { createWorker, defaultThreads } from './worker.js'
export type { WorkerOptions } from './worker-options.js'
