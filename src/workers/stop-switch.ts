import { TrainingAbortedError, TrainingStoppedError } from '../base/abort-reasons.js'
import type { Stage } from '../queue/names.js'

export type TrainingPhase = 'before' | 'training' | 'after'

/**
 * What may end a training from outside, and which stage hears of it (design: stop keeps the best model, abort and
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
  signalFor(stage: Stage): AbortSignal
}

const BEFORE_OR_IN_TRAINING: readonly Stage[] = ['download-data', 'download-model', 'train']
const DETECTION: readonly Stage[] = ['detect', 'upload-detections']

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
    signalFor(stage) {
      if (stage === 'cleanup') return new AbortController().signal // follows an end, so nothing ends it
      if (BEFORE_OR_IN_TRAINING.includes(stage)) return AbortSignal.any([end.signal, stopTraining.signal])
      if (DETECTION.includes(stage)) return AbortSignal.any([end.signal, stopDetection.signal])
      return end.signal
    },
  }
}
