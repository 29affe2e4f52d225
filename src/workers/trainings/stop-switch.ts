import { TrainingAbortedError, TrainingStoppedError } from '../../base/index.js'

/**
 * What a stop does to a stage:
 * `ends`: ended by a stop before the end of the training program, and then skipped.
 * `keeps-model`: ended by a stop, but run in any case: only it can check whether there is a model, perhaps of an earlier run.
 * `continues`: not ended by a stop.
 * `optional`: ended only by a stop after the training; the training is completed without it.
 * `always`: the clean-up after any end; ended only by a shutdown of the worker.
 * An abort, a shutdown and a newer run end all others.
 */
export type OnStop = 'ends' | 'keeps-model' | 'continues' | 'optional' | 'always'

type TrainingPhase = 'before' | 'training' | 'after'

/**
 * Ends the stages of a training: a stop keeps the best model, `end` (abort, shutdown, a newer run) ends everything. `end` wins
 * over `stop`; the reason is on the signal of each stage.
 */
export type StopSwitch = {
  phase: TrainingPhase
  /** During or before the training: ends it and keeps the best model, if there is one. After it: skips the detection. */
  stop(): void
  abort(): void
  /** Shutdown of the worker, or another host took over. */
  end(reason: Error): void
  readonly endSignal: AbortSignal
  /** Whether a stop came after the training: the model is uploaded, the detection is skipped. */
  readonly skipsDetection: boolean
  signalFor(stage: { readonly onStop: OnStop }): AbortSignal
}

export function createStopSwitch(): StopSwitch {
  const end = new AbortController()
  const stopTraining = new AbortController()
  const stopDetection = new AbortController()
  return {
    phase: 'before',
    stop() {
      const controller = this.phase === 'after' ? stopDetection : stopTraining
      controller.abort(new TrainingStoppedError())
    },
    abort: () => end.abort(new TrainingAbortedError()),
    end: (reason) => end.abort(reason),
    endSignal: end.signal,
    get skipsDetection() {
      return stopDetection.signal.aborted
    },
    signalFor({ onStop }) {
      switch (onStop) {
        case 'ends':
          return this.phase === 'after' ? end.signal : AbortSignal.any([end.signal, stopTraining.signal])
        case 'keeps-model':
          return AbortSignal.any([end.signal, stopTraining.signal])
        case 'optional':
          return AbortSignal.any([end.signal, stopDetection.signal])
        case 'continues':
          return end.signal
        case 'always':
          return new AbortController().signal
        default:
          return onStop satisfies never
      }
    },
  }
}

/**
 * Carries out a stop that was requested in an earlier run, unless that run has carried it out while its program ran. `trained`
 * is the result of its training step, if it was done.
 */
export function obeyEarlierStop(stopSwitch: StopSwitch, trained: unknown): void {
  if (wasStopped(trained)) return
  stopSwitch.phase = trained === undefined ? 'training' : 'after'
  stopSwitch.stop()
  stopSwitch.phase = 'before'
}

function wasStopped(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'stopped' in result && result.stopped === true
}
