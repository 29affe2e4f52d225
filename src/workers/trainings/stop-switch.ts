import { TrainingAbortedError, TrainingStoppedError } from '../../base/index.js'

/**
 * What a stop does to a stage. It ends those that come before the end of the training program: `ends` is passed over then,
 * `keeps` is run in any case, since only it can say whether there is a model to keep: an earlier run may have packed one. `goes-on` is not ended by a stop. `left-out` is ended by one
 * that comes after the training, which is done without it. An abort, a shutdown and a newer run end all of these; `follows`
 * comes after an end and is ended with the worker only.
 */
export type OnStop = 'ends' | 'keeps' | 'goes-on' | 'left-out' | 'follows'

type TrainingPhase = 'before' | 'training' | 'after'

/**
 * What may end a training from outside, and which stages are ended by it (design: stop keeps the best model, abort and
 * shutdown end everything). `end` wins over `stop`; each stage reads the reason off its signal.
 */
export type StopSwitch = {
  phase: TrainingPhase
  /** Keeps the best model while training, aborts before it, leaves detection out after it. */
  stop(): void
  abort(): void
  /** Shutdown of the worker, or another host took over. */
  end(reason: Error): void
  readonly endSignal: AbortSignal
  /** True when a stop came after the training: the model is uploaded, detection is left out. */
  readonly leavesDetectionOut: boolean
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
    get leavesDetectionOut() {
      return stopDetection.signal.aborted
    },
    signalFor({ onStop }) {
      switch (onStop) {
        case 'ends':
          return this.phase === 'after' ? end.signal : AbortSignal.any([end.signal, stopTraining.signal])
        case 'keeps':
          return AbortSignal.any([end.signal, stopTraining.signal])
        case 'left-out':
          return AbortSignal.any([end.signal, stopDetection.signal])
        case 'goes-on':
          return end.signal
        case 'follows':
          return new AbortController().signal
        default:
          return onStop satisfies never
      }
    },
  }
}

/**
 * Obeys a stop that came in an earlier run: one that came while the program ran has been obeyed by that run. `trained` is what
 * its training step has answered, if it was done.
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
