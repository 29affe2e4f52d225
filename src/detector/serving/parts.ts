import type { Service } from '../../base/index.js'
import type { Findings } from '../../inference/index.js'
import type { ModelJson, OutboxMode, VersionMode } from '../../loop/protocol/index.js'
import type { OutboxStatus } from '../outbox/open-outbox.js'

/** An image as a client sent it: encoded, or raw rows of grey, RGB or RGBA. */
export type ClientImage =
  | { readonly bytes: Uint8Array }
  | {
      readonly pixels: Uint8Array
      readonly width: number
      readonly height: number
      readonly channels: 1 | 3 | 4
    }

/** Limits of a detection: the signal aborts if the client disconnects; after the deadline the answer is of no use. */
export type DetectWork = {
  readonly signal?: AbortSignal
  readonly deadlineMs?: number
  /** Whether the memory of the image may be moved to a thread; the caller cannot read it afterwards. */
  readonly mayMove?: boolean
}

/** The methods of an inference pool that detection needs. */
type DetectionPool = {
  detect(image: ClientImage, work?: DetectWork): Promise<{ readonly detections: Findings }>
  detectBatch(images: readonly ClientImage[], work?: DetectWork): Promise<readonly { readonly detections: Findings }[]>
  readonly inFlight: number
  readonly threadIds: readonly number[]
}

export type DetectorModel = {
  readonly version: string
  readonly id: string
  readonly folder: string
  readonly modelJson: ModelJson
  readonly pool: DetectionPool
}

/** The model that the Loop wants to be run. */
export type TargetModel = { readonly id: string; readonly version: string }

/** The models of a detector: the loaded one, the target, and the swaps between them. */
export type DetectorModels = Service & {
  /** Holds the model while the work runs; throws LF_DETECTOR_NO_MODEL or LF_DETECTOR_UPDATING. */
  use<T>(work: (model: DetectorModel) => Promise<T>): Promise<T>
  loaded(): DetectorModel | null
  versionControl(): {
    readonly mode: VersionMode
    readonly currentVersion: string | null
    readonly targetVersion: string | null
    readonly loopVersion: string | null
    readonly localVersions: readonly string[]
  }
  /** `follow_loop`, `pause` or a version; throws LF_DETECTOR_VERSION. */
  setVersionControl(text: string): Promise<void>
  setTarget(target: TargetModel | null): void
  setUpdatesAllowed(allowed: boolean): void
  state(): {
    readonly updating: string | null
    readonly errors: Readonly<Record<string, string>>
    /** Null while a model is loaded. */
    readonly whyNoModel: string | null
  }
  onChange(callback: () => void): () => void
}

/** An image that waits for the Loop: the JPEG and its JSON. */
type OutboxEntry = {
  readonly image: { readonly bytes: Uint8Array }
  readonly metadata: Record<string, unknown>
  readonly priority?: boolean
}

export type DetectorOutbox = Service & {
  /** Resolves when the image is durable on disk. */
  save(item: OutboxEntry): Promise<string>
  readonly mode: OutboxMode
  setMode(mode: OutboxMode): Promise<void>
  status(): OutboxStatus
}

/** Returns the causes for which an image is sent to the Loop; empty if it is not. */
export type DetectorFilter = { causes(findings: Findings, cameraId: string | null): string[] }

/** The services of which a detector consists. */
export type DetectorParts = {
  readonly models: DetectorModels
  readonly outbox: DetectorOutbox
  readonly filter: DetectorFilter
}
