import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeTree } from '../../src/base/files.js'
import { type Logger, silentLogger } from '../../src/base/logger/logger.js'
import { createDetectorServer, type DetectorServer } from '../../src/detector/server/detector-server.js'
import type { ServerLimits } from '../../src/detector/server/limits.js'
import { createDetector, type Detector } from '../../src/detector/serving/detector.js'
import type { DetectorModel, DetectorModels, DetectorOutbox } from '../../src/detector/serving/parts.js'
import { createInferencePool } from '../../src/inference/pool/pool.js'
import { type Dialect, modelJsonSchema } from '../../src/loop/protocol/index.js'

const CATEGORIES = [
  { id: 'id-a', name: 'A', type: 'box' },
  { id: 'id-b', name: 'B', type: 'box' },
]
const GRID = { layout: 'grid', input: { width: 64, height: 48 }, stride: 8, threshold: 0.5, nms_iou: 0.5 }

type KeptImage = Parameters<DetectorOutbox['save']>[0]

export type DetectorFixture = {
  readonly url: string
  readonly port: number
  readonly detector: Detector
  readonly server: DetectorServer
  /** What was kept for the Loop. */
  readonly kept: KeptImage[]
  /** Takes the model away, or gives it back. */
  setLoaded(isLoaded: boolean): void
  /** What the next uses of the model end with. */
  failWith(error: Error | undefined): void
  /** What the next images that are kept end with. */
  failToKeep(error: Error | undefined): void
  close(): Promise<void>
}

export type FixtureOptions = {
  readonly dialect?: Dialect
  readonly limits?: Partial<ServerLimits>
  readonly causes?: readonly string[]
  readonly log?: Logger
  readonly ending?: AbortSignal
}

/**
 * A detector and its server around a real pool with a real model (64x48, everything red is an "A"), without models from
 * the Loop and with an outbox in memory.
 */
export async function startDetectorFixture(options: FixtureOptions = {}): Promise<DetectorFixture> {
  const { dialect = 'current', causes = [], log = silentLogger() } = options
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-detector-'))
  const decoderFile = join(folder, 'decoder.json')
  await writeFile(decoderFile, JSON.stringify(GRID))
  const modelFile = fileURLToPath(new URL('../fixtures/onnx/red-is-an-object.onnx', import.meta.url))
  const backend = { kind: 'onnx' as const, modelFile, decoderFile, categories: CATEGORIES }
  const pool = await createInferencePool({ threads: 1, backend }, { log })
  const modelJson = modelJsonSchema.parse({
    id: 'model-1',
    organization: 'zauberzeug',
    project: 'demo',
    version: '1.1',
    categories: CATEGORIES,
  })
  const model: DetectorModel = { version: '1.1', id: 'model-1', folder, modelJson, pool }
  let isLoaded = true
  let failure: Error | undefined
  let keepFailure: Error | undefined
  const kept: KeptImage[] = []
  const service = {
    start: async () => undefined,
    stop: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
  let mode: 'follow_loop' | 'pause' | 'specific_version' = 'follow_loop'
  const models: DetectorModels = {
    ...service,
    async use(work) {
      if (failure !== undefined) throw failure
      return await work(model)
    },
    loaded: () => (isLoaded ? model : null),
    versionControl: () => ({
      mode,
      currentVersion: isLoaded ? '1.1' : null,
      targetVersion: null,
      loopVersion: null,
      localVersions: ['1.1'],
    }),
    async setVersionControl(text) {
      mode = text === 'pause' ? 'pause' : text === 'follow_loop' ? 'follow_loop' : 'specific_version'
    },
    setTarget: () => undefined,
    setUpdatesAllowed: () => undefined,
    state: () => ({ updating: null, errors: {}, whyNoModel: isLoaded ? null : 'no target is set' }),
    onChange: () => () => undefined,
  }
  const outbox: DetectorOutbox = {
    ...service,
    async save(item) {
      if (keepFailure !== undefined) throw keepFailure
      kept.push(item)
      return String(kept.length)
    },
    mode: 'continuous_upload',
    setMode: async () => undefined,
    status: () => ({ normal: kept.length, priority: 0, bytes: 0, dropped: 0, setAside: 0, uploaded: 0, problem: null }),
  }
  const detector = createDetector(
    { dialect },
    {
      open: async () => ({ models, outbox, filter: { causes: () => [...causes] } }),
      wipe: async () => undefined,
      log,
      now: Date.now,
    },
  )
  await detector.start({ signal: new AbortController().signal })
  const server = await createDetectorServer(
    { dialect, version: '0.1.0', limits: options.limits, ending: options.ending },
    { detector, log },
  )
  const port = await server.listen({ port: 0, host: '127.0.0.1' })
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    detector,
    server,
    kept,
    setLoaded(loaded) {
      isLoaded = loaded
    },
    failWith(error) {
      failure = error
    },
    failToKeep(error) {
      keepFailure = error
    },
    async close() {
      await server.close()
      await detector.stop()
      await pool.close()
      await removeTree(folder)
    },
  }
}
