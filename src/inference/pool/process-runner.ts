import { type ChildProcess, fork } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { availableCpus, isWithin } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { OwnedImage } from '../../images/index.js'
import { Recovery } from '../backends/recovery.js'
import type { Outage, Runner, RunnerDeps, StartedBatch } from '../backends/runner.js'
import { fromThreadError } from '../backends/thread-error.js'
import { InferenceError } from '../basics/index.js'
import type { InferencePoolOptions } from './inference-pool.js'
import type { HostAnswer, HostRequest } from './process-messages.js'

/** For a process to end its threads before it is killed. */
const CLOSE_MS = 5000
/** What a process of Node needs; secrets are none of it. */
const VARIABLES = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'NODE_V8_COVERAGE'] as const

type Request = HostRequest extends infer One ? (One extends HostRequest ? Omit<One, 'id'> : never) : never
type Done = Extract<HostAnswer, { readonly ok: true }>
type Pending = { readonly resolve: (answer: Done) => void; readonly reject: (error: InferenceError) => void }

/** A pool in a process of its own, which is replaced when it ends: threads that cannot be ended do not stay in this one. */
export class ProcessRunner implements Runner {
  readonly takesBundles = false
  readonly wantsBatches = false
  readonly maxImages = 1
  readonly threadIds = new Set<number>()
  warnings: readonly string[] = []
  readonly #options: InferencePoolOptions
  readonly #onChange: () => void
  readonly #recovery: Recovery
  readonly #threads: number
  readonly #log: Logger
  #host: Host | undefined
  #isReady = false
  #isClosed = false
  #running = 0

  constructor(options: InferencePoolOptions, deps: RunnerDeps & { readonly log: Logger }) {
    this.#options = options
    this.#onChange = deps.onChange
    this.#log = deps.log
    this.#threads = options.threads ?? Math.max(2, availableCpus() - 1)
    this.#recovery = new Recovery({
      isWhole: () => this.#isReady,
      restore: () => this.start(),
      onChange: deps.onChange,
      log: deps.log,
    })
  }

  get free(): number {
    return this.#isReady ? Math.max(0, this.#threads - this.#running) : 0
  }

  get width(): number {
    return this.#isReady ? this.#threads : 0
  }

  get outage(): Outage | undefined {
    return this.#isReady ? undefined : this.#recovery.outage
  }

  async start(): Promise<void> {
    if (this.#isClosed) throw new InferenceError('LF_INFERENCE_CLOSED', 'The inference pool is closed.')
    const host = new Host((error) => this.#onEnd(host, error))
    this.#host = host
    try {
      const options = { ...this.#options, threads: this.#threads }
      this.#learn(await host.ask({ kind: 'start', options, logLevel: this.#log.level }))
    } catch (error) {
      await host.close()
      throw error
    }
    this.#isReady = !this.#isClosed
  }

  run([image]: readonly OwnedImage[]): StartedBatch {
    return { done: this.#detect(image), begun: () => 1 }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#isReady = false
    this.#recovery.end()
    await this.#host?.close()
  }

  async #detect(image: OwnedImage | undefined) {
    const host = this.#host
    if (host === undefined || image === undefined) throw new Error('there is no process or no image')
    this.#running += 1
    try {
      const answer = await host.ask({ kind: 'detect', image })
      this.#recovery.succeeded()
      this.#learn(answer)
      if (answer.found === undefined) throw new Error('the inference process gave no answer')
      const { detections: findings, threadId } = answer.found
      return { answers: [{ ok: true as const, findings }], threadId, workMs: 0 }
    } finally {
      this.#running -= 1
      this.#onChange()
    }
  }

  #learn({ threadIds, warnings }: Done): void {
    for (const id of threadIds) this.threadIds.add(id)
    this.warnings = warnings
  }

  #onEnd(host: Host, error: InferenceError): void {
    if (host !== this.#host || !this.#isReady) return
    this.#isReady = false
    this.#recovery.begin(error)
  }
}

/** The process. */
class Host {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #pending = new Map<number, Pending>()
  #requests = 0
  #failure: InferenceError | undefined

  constructor(onEnd: (error: InferenceError) => void) {
    // Run from its TypeScript source (tests), this module must start the process from source too.
    const file = new URL(import.meta.url.endsWith('.ts') ? './process-host.ts' : './process-host.js', import.meta.url)
    this.#child = fork(fileURLToPath(file), [], {
      env: Object.fromEntries(
        VARIABLES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
      ),
      serialization: 'advanced', // images may be bytes
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#exited = new Promise<void>((resolve) => {
      this.#child.once('exit', () => resolve())
      this.#child.once('error', () => resolve())
    })
    this.#child.on('message', (answer: HostAnswer) => this.#onAnswer(answer))
    const fail = (how: string) => {
      if (this.#failure !== undefined) return
      this.#failure = endedError(how)
      for (const { reject } of this.#pending.values()) reject(this.#failure)
      this.#pending.clear()
      onEnd(this.#failure)
    }
    this.#child.once('error', ({ message }) => fail(message))
    this.#child.once('exit', (code, signal) => fail(signal ?? `exit code ${code}`))
  }

  /** Rejects with the error of the pool, or LF_INFERENCE_THREAD_DIED when the process ends. */
  ask(request: Request): Promise<Done> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const id = this.#requests++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#child.send({ ...request, id }, () => undefined) // what cannot be sent is answered by its end
    })
  }

  /** Resolves when the process has exited. */
  async close(): Promise<void> {
    const closed = this.ask({ kind: 'close' }).catch(() => undefined)
    await isWithin(closed, CLOSE_MS)
    if (this.#child.connected) this.#child.disconnect()
    if (!(await isWithin(this.#exited, CLOSE_MS))) this.#child.kill('SIGKILL')
    await this.#exited
  }

  #onAnswer(answer: HostAnswer): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if (answer.ok) pending?.resolve(answer)
    else pending?.reject(fromThreadError(answer.error))
  }
}

function endedError(how: string): InferenceError {
  const message = `The inference process ended while it held an image (${how}); it is replaced.`
  return new InferenceError('LF_INFERENCE_THREAD_DIED', message, { failure: 'transient', details: { how } })
}
