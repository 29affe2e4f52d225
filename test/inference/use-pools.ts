import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { silentLogger } from '../../src/base/logger/logger.js'
import { unendedThreadCount } from '../../src/inference/basics/lost-threads.js'
import { createInferencePool, type InferencePool, type InferencePoolOptions } from '../../src/inference/pool/pool.js'
import { until } from '../helpers/until.js'

/** For a thread in native code, which a pool that is closed leaves behind, on a busy machine. */
const COME_OUT_MS = 100_000

export type Pools = {
  start(options: InferencePoolOptions, threadFile?: URL): Promise<InferencePool>
  /** A named pipe at which the module misbehaves.mjs waits inside native code. */
  makeGate(folder: string): Promise<Gate>
}

export type Gate = {
  /** The content of an image at which a thread waits. */
  readonly image: { readonly bytes: Buffer }
  /** Lets all threads go on that wait there. */
  open(): Promise<void>
}

/** Pools of the tests of a suite: closed after each test, which is over when all of their threads have exited. */
export function usePools(): Pools {
  const pools: InferencePool[] = []
  const gates: Gate[] = []
  afterEach(async function () {
    this.timeout(COME_OUT_MS + 20_000)
    await Promise.all(gates.splice(0).map((gate) => gate.open()))
    await Promise.all(pools.splice(0).map((pool) => pool.close()))
    await until('all threads have exited', () => unendedThreadCount() === 0, COME_OUT_MS)
  })
  return {
    async start(options, threadFile) {
      const pool = await createInferencePool({ threads: 2, ...options }, { log: silentLogger(), threadFile })
      pools.push(pool)
      return pool
    },
    async makeGate(folder) {
      const path = join(folder, 'gate')
      await promisify(execFile)('mkfifo', [path])
      const gate = {
        image: { bytes: Buffer.from(`waits in native code at ${path}`) },
        // For reading and writing, which does not wait for another end.
        open: async () => await (await open(path, 'r+')).close(),
      }
      gates.push(gate)
      return gate
    },
  }
}
