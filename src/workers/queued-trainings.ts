import process from 'node:process'
import { RunSupersededError, WorkerShutdownError } from '../base/abort-reasons.js'
import type { Closers } from '../base/closers.js'
import type { Consumer } from '../queue/consumer.js'
import type { Control } from '../queue/control.js'
import type { JobHandle } from '../queue/job-handle.js'
import { stepJobSchema, type TrainingJob, trainingJobSchema } from '../queue/job-schemas.js'
import type { Journal } from '../queue/journal.js'
import { queueNames, workKinds } from '../queue/names.js'
import { HandBackError } from '../queue/queue-errors.js'
import { createDispatcher } from './dispatcher.js'
import type { HostTrainings, HostTrainingsDeps } from './host-work.js'
import { journalStore } from './journal-store.js'
import type { HeldWork } from './record-watch.js'
import { allStages } from './stages/index.js'
import { createStepRunner } from './step-runner.js'
import { takeUpFromPredecessor } from './take-up.js'
import type { TrainingRun } from './training-run.js'
import type { WorkerDeps, WorkerOptions } from './worker-options.js'

export type QueuedTrainingsDeps = HostTrainingsDeps &
  Pick<WorkerDeps, 'queues' | 'slots' | 'stageDeps'> & {
    readonly journal: Journal
    readonly control: Control
    /** Asked at each take, since a drain counts from the moment in which it was asked for. */
    readonly mayTake: () => Promise<boolean>
  }

/** Trainings as jobs that a host keeps active while it works on them, beside the journal. */
export function createQueuedTrainings(options: WorkerOptions, deps: QueuedTrainingsDeps): HostTrainings {
  const { hostId, trainers } = options
  const { queues, journal, control, places, log } = deps
  const timing = { lockMs: options.lockMs ?? 30_000, stalledMs: options.stalledMs ?? 2_000 }
  /** By trainer; only those that this host has ever been able to serve have one. */
  const trainerConsumers = new Map<string, Consumer>()
  const stepConsumers: Consumer[] = []
  let isSubscribing = false

  const dispatcher = createDispatcher(
    { hostId, workerPid: process.pid, lendPlaceAfterMs: options.lendPlaceAfterMs },
    {
      ...deps,
      stages: allStages,
      createRun: (record, run) => deps.openRun(record, run, journalStore(journal, { id: record.id, run, hostId })),
    },
  )
  const { stageDeps } = deps
  const runStep = createStepRunner({ stages: allStages, stageDeps, journal, findRun: dispatcher.findRun })

  function toHeldWork({ id, run, paths, stopSwitch }: TrainingRun): HeldWork {
    return {
      ...{ what: `training ${id}`, run, folder: paths.workspace },
      compare: () => journal.compareRun(id, run, hostId),
      end: () => stopSwitch.end(new RunSupersededError({ trainingId: id, run })),
    }
  }

  /** Another host had the job of a training that is at work here: whether it has begun it. */
  async function isTakenOver({ trainingId }: TrainingJob): Promise<boolean> {
    const run = dispatcher.findRun(trainingId)?.run
    return run !== undefined && (await journal.compareRun(trainingId, run)).state === 'newer'
  }

  async function take(job: JobHandle<TrainingJob>, signal: AbortSignal): Promise<unknown> {
    if (!(await deps.mayTake())) throw new HandBackError()
    const result = await dispatcher.take(job, signal)
    await deps.onLeft()
    return result
  }

  // The two downloads of a training, or trainings that have their place back.
  const stepsAtOnce = () => places.total * 2

  /** Subscribes to what the GPUs suffice for, and to nothing else, so that the rest is left to other hosts. */
  function follow(): void {
    if (!isSubscribing) return
    for (const { name } of trainers) {
      if (!deps.served.has('trainer', name) || trainerConsumers.has(name)) continue
      const settings = { ...timing, concurrency: places.total, schema: trainingJobSchema, isTakenOver }
      trainerConsumers.set(name, queues.consume(queueNames.trainings(name), take, settings))
    }
    for (const consumer of stepConsumers) consumer.setConcurrency(stepsAtOnce())
    const isShut = deps.isDraining() || places.free === 0
    for (const [trainer, consumer] of trainerConsumers) {
      consumer.setConcurrency(places.total + places.lent)
      void (isShut || !deps.served.has('trainer', trainer) ? consumer.pause() : consumer.resume())
    }
  }

  async function prepare(_signal: AbortSignal, closers: Closers): Promise<void> {
    await takeUpFromPredecessor(options, { queues, journal, log })
    const watch = await control.watch((id, kind) => {
      const stopSwitch = dispatcher.findRun(id)?.stopSwitch
      if (kind === 'abort') stopSwitch?.abort()
      else stopSwitch?.stop()
    })
    closers.add('control', () => watch.close())
  }

  function begin(): void {
    for (const kind of trainers.length === 0 ? [] : workKinds) {
      const settings = { ...timing, concurrency: stepsAtOnce(), schema: stepJobSchema, isTakenOver }
      stepConsumers.push(queues.consume(queueNames.host(hostId, kind), runStep, settings))
    }
    isSubscribing = true
  }

  /** First the trainings: their programs end politely and the jobs go back; then the step queues, which did the work. */
  async function end(): Promise<void> {
    isSubscribing = false
    for (const training of dispatcher.active) training.stopSwitch.end(new WorkerShutdownError())
    const close = (consumer: Consumer) => consumer.close({ cancel: new WorkerShutdownError() })
    await Promise.all([...trainerConsumers.values()].map(close))
    await Promise.all(stepConsumers.map(close))
  }

  return {
    works: [],
    get active() {
      return dispatcher.active
    },
    held: () => dispatcher.active.map(toHeldWork),
    ...{ prepare, begin, follow, end },
  }
}
