import { queueNames, stepId } from '../queue/names.js'
import { JobRemovedError } from '../queue/queue-errors.js'
import type { Queues } from '../queue/queues.js'
import type { Stage } from './stages/stage.js'
import type { TrainingRun } from './training-run.js'

/** Runs each step of a run as a job on this host's queues, which retries it. */
export function createJobSteps(
  training: Pick<TrainingRun, 'id' | 'run' | 'hostId' | 'stopSwitch'>,
  queues: Pick<Queues, 'runJob' | 'remove'>,
) {
  const { hostId, stopSwitch } = training

  return async function runStep({ name, kind, onStop }: Stage, signal: AbortSignal): Promise<unknown> {
    const queue = queueNames.host(hostId, kind)
    const id = stepId(training.id, training.run, name)
    const run = () => queues.runJob(queue, name, { trainingId: training.id, run: training.run, stage: name }, { id })
    // A step that waits is taken out; one that runs has its own signal and is waited for.
    const takeOut = () => void queues.remove(queue, id).catch(() => undefined)
    signal.addEventListener('abort', takeOut, { once: true })
    try {
      return await run()
    } catch (error) {
      // Stopped while it waited for another attempt: it still has to say whether there is a model to keep.
      const isDecided = onStop !== 'keeps' || !signal.aborted || stopSwitch.endSignal.aborted
      if (isDecided || !(error instanceof JobRemovedError)) throw error
      return await run()
    } finally {
      signal.removeEventListener('abort', takeOut)
    }
  }
}
