import { type Closers, createService, messageOf, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import {
  type AboutAnswer,
  type DetectorCondition,
  type Dialect,
  type ImageMetadata,
  type ModelInfo,
  type ModelVersionAnswer,
  type OperationMode,
  type OutboxMode,
  toVersionText,
} from '../../loop/protocol/index.js'
import { createDetection, type Detection } from './detection.js'
import { DetectorRequestError } from './errors.js'
import { checkReadable, toJpeg } from './jpeg.js'
import { type ImageFacts, toSavedUpload } from './metadata.js'
import type { ClientImage, DetectorModel, DetectorOutbox, DetectorParts, TargetModel } from './parts.js'

export type DetectorOptions = { readonly dialect: Dialect }

export type DetectorDeps = {
  /** Creates the parts without starting them; called again after a reset. */
  readonly open: () => Promise<DetectorParts>
  /** Deletes the files of the stopped parts. */
  readonly wipe: () => Promise<void>
  readonly log: Logger
  readonly now: () => number
}

type DetectorFigures = {
  readonly imagesInFlight: number
  readonly threads: number
  readonly model: string | null
  readonly outbox: ReturnType<DetectorOutbox['status']>
}

/** A detector without its servers and without the Loop: detection, uploads, modes and versions. */
export type Detector = Service &
  Detection & {
    /** Puts an image that a client uploads into the outbox; durable when it resolves. Throws LF_OUTBOX_WRITE and LF_OUTBOX_FULL. */
    upload(
      image: ClientImage,
      metadata: ImageMetadata | null,
      facts: ImageFacts,
      options: { readonly priority: boolean },
    ): Promise<void>
    setOperationMode(mode: OperationMode): void
    /** State, versions and errors, for the Loop and for people. */
    condition(): DetectorCondition
    about(): AboutAnswer
    modelInfo(): ModelInfo | null
    modelVersion(): ModelVersionAnswer
    setModelVersion(text: string): Promise<void>
    outboxMode(): OutboxMode
    setOutboxMode(mode: OutboxMode): Promise<void>
    setTarget(target: TargetModel | null): void
    figures(): DetectorFigures
    /** Deletes all models and images on disk and starts again. */
    reset(): Promise<void>
    /** Calls after a swap, an error of an update, a change of operation mode, and a reset. */
    onChange(callback: () => void): () => void
  }

export function createDetector(options: DetectorOptions, deps: DetectorDeps): Detector {
  const { dialect } = options
  const { now } = deps
  const log = deps.log.child({ component: 'detector' })
  const startedAt = now()
  const callbacks = new Set<() => void>()
  let operationMode: OperationMode = 'startup'
  let running:
    | { readonly parts: DetectorParts; readonly detection: Detection; readonly unwatch: () => void }
    | undefined
  /** Why the last image could not be put into the outbox. */
  let saveProblem: string | null = null
  let resetting: Promise<void> | undefined
  let isStarted = false
  const service = createService('detector', open, { log })

  function changed(): void {
    for (const callback of [...callbacks]) callback()
  }

  function onSaved(problem: string | null): void {
    if ((problem === null) === (saveProblem === null)) return
    saveProblem = problem
    changed()
  }

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('parts', close)
    closers.add('reset', () => resetting)
    await openParts(signal)
    isStarted = true
    setOperationMode('idle')
  }

  async function openParts(signal: AbortSignal): Promise<void> {
    const parts = await deps.open()
    const detection = createDetection({ dialect }, { ...parts, now, log, onSaved })
    const unwatch = parts.models.onChange(changed)
    running = { parts, detection, unwatch }
    await parts.outbox.start({ signal })
    await parts.models.start({ signal })
  }

  async function close(): Promise<void> {
    const was = running
    running = undefined
    was?.unwatch()
    await was?.parts.models.stop()
    await was?.parts.outbox.stop()
  }

  function setOperationMode(mode: OperationMode): void {
    if (mode === operationMode) return
    log.info({ from: operationMode, to: mode }, 'operation mode changed')
    operationMode = mode
    running?.parts.models.setUpdatesAllowed(mode === 'idle')
    changed()
  }

  async function reset(): Promise<void> {
    if (!isStarted || service.signal.aborted) return
    log.warn('all models and waiting images deleted')
    setOperationMode('startup')
    await close()
    await deps.wipe()
    saveProblem = null
    await openParts(service.signal)
    setOperationMode('idle')
  }

  function runningParts() {
    if (running === undefined) throw new DetectorRequestError('detector not yet initialized', { status: 503 })
    return running
  }

  function loaded(): DetectorModel | null {
    return running?.parts.models.loaded() ?? null
  }

  function modelInfo(): ModelInfo | null {
    const model = loaded()
    return model === null ? null : toModelInfo(model)
  }

  function condition(): DetectorCondition {
    const { currentVersion = null, targetVersion = null } = running?.parts.models.versionControl() ?? {}
    const outboxProblem = saveProblem ?? running?.parts.outbox.status().problem ?? null
    const errors = { ...running?.parts.models.state().errors, ...(outboxProblem !== null && { outbox: outboxProblem }) }
    const uptimeSeconds = (now() - startedAt) / 1000
    return { state: 'online', operationMode, currentVersion, targetVersion, errors, uptimeSeconds }
  }

  return {
    ...service,
    detect: (image, facts, work) => runningParts().detection.detect(image, facts, work),
    detectBatch: (images, facts, work) => runningParts().detection.detectBatch(images, facts, work),
    async upload(image, metadata, facts, { priority }) {
      const { outbox } = runningParts().parts
      checkReadable(image)
      const categories = loaded()?.modelJson.categories ?? null
      const json = toSavedUpload(metadata, facts, { dialect, at: new Date(now()), categories })
      const bytes = await toJpeg(image)
      try {
        await outbox.save({ image: { bytes }, metadata: json, priority })
      } catch (error) {
        onSaved(messageOf(error))
        throw error
      }
      onSaved(null)
    },
    setOperationMode,
    condition,
    about() {
      const { state, targetVersion } = condition()
      const version_control = running?.parts.models.versionControl().mode ?? 'follow_loop'
      return {
        operation_mode: operationMode,
        state,
        model_info: modelInfo(),
        target_model: targetVersion,
        version_control,
        model_problem: running === undefined ? 'it is starting' : running.parts.models.state().whyNoModel,
      }
    },
    modelInfo,
    modelVersion() {
      const control = runningParts().parts.models.versionControl()
      return {
        current_version: toVersionText(control.currentVersion),
        target_version: toVersionText(control.targetVersion),
        loop_version: toVersionText(control.loopVersion),
        local_versions: [...control.localVersions],
        version_control: control.mode,
      }
    },
    setModelVersion: (text) => runningParts().parts.models.setVersionControl(text),
    outboxMode: () => runningParts().parts.outbox.mode,
    setOutboxMode: (mode) => runningParts().parts.outbox.setMode(mode),
    setTarget: (target) => running?.parts.models.setTarget(target),
    figures() {
      const model = loaded()
      const outbox = running?.parts.outbox.status() ?? NOTHING_WAITS
      return {
        imagesInFlight: model?.pool.inFlight ?? 0,
        threads: model?.pool.threadIds.length ?? 0,
        model: model?.version ?? null,
        outbox,
      }
    },
    reset() {
      resetting ??= reset().finally(() => {
        resetting = undefined
      })
      return resetting
    },
    onChange(callback) {
      callbacks.add(callback)
      return () => void callbacks.delete(callback)
    },
  }
}

const NOTHING_WAITS = { normal: 0, priority: 0, bytes: 0, dropped: 0, setAside: 0, uploaded: 0, problem: null }

/** The loaded model in the form of the detector's API. */
function toModelInfo({ modelJson, folder, version, id }: DetectorModel): ModelInfo {
  const { host, organization, project, categories, resolution, model_size } = modelJson
  const conf_threshold = typeof modelJson.conf_threshold === 'number' ? modelJson.conf_threshold : null
  const ours = { id, version, model_root_path: folder, conf_threshold }
  return { ...ours, host, organization, project, categories, resolution, model_size }
}
