import pLimit from 'p-limit'
import type { Piscina } from 'piscina'
import { availableCpus, messageOf } from '../../../../base/index.js'
import type { Logger } from '../../../../base/logger/index.js'
import { openThreadPool, threadFileBeside } from '../../../../base/threads/index.js'
import { unlessAborted } from '../../../../loop/client/index.js'
import type { ImagePoint } from '../../annotation-tool.js'
import { AnnotationToolError, ToolTimeoutError } from '../../errors.js'
import type { ProposalAnswer, ProposalRequest } from './proposal.js'

const WARM_UP_MS = 120_000 // a slow disk, or a busy machine

export type ProposerOptions = {
  /** One less than the machine has cores, at most two, by default. */
  readonly threads?: number
  /** A thread that needs longer is ended and replaced. */
  readonly timeoutMs?: number
}

/** Outlines objects in images, in threads of its own. */
export type Proposer = {
  /** Starts the threads and loads OpenCV in each. */
  start(): Promise<void>
  /** The outline of what stands out, undefined when nothing does. An abort ends the waiting, not the thread's work. */
  propose(request: ProposalRequest, options: { readonly signal: AbortSignal }): Promise<ImagePoint[] | undefined>
  close(): Promise<void>
}

export function createProposer(options: ProposerOptions, deps: { readonly log: Logger }): Proposer {
  const { threads = Math.max(1, Math.min(2, availableCpus() - 1)), timeoutMs = 20_000 } = options
  // Before the piscina, which ends the whole thread when the signal of a task that runs aborts.
  const limit = pLimit(threads)
  const working = new Set<Promise<unknown>>()
  let pool: Piscina | undefined
  // Piscina starts another thread when one ends, also one that it no longer waits for after `destroy`.
  const ending = new Set<Promise<unknown>>()

  async function run(threadPool: Piscina, request: ProposalRequest | undefined): Promise<ProposalAnswer> {
    const withinMs = request === undefined ? WARM_UP_MS : timeoutMs
    const late = AbortSignal.timeout(withinMs)
    const threadsBefore = [...threadPool.threads]
    try {
      return await threadPool.run(request, { signal: late }) // an abort ends the thread, and piscina replaces it
    } catch (cause) {
      for (const thread of threadsBefore) {
        const isEnding = !threadPool.threads.includes(thread) && thread.threadId !== -1
        if (!isEnding) continue
        const gone = new Promise<void>((resolve) => thread.once('exit', () => resolve()))
        ending.add(gone)
        void gone.then(() => ending.delete(gone))
      }
      if (late.aborted) throw new ToolTimeoutError(withinMs)
      throw new AnnotationToolError(`The thread of the segmentation tool failed: ${messageOf(cause)}.`, cause)
    }
  }

  return {
    async start() {
      if (pool !== undefined) return
      const file = threadFileBeside(import.meta.url)
      const opened = await openThreadPool({ file, task: 'propose', threads }, deps)
      pool = opened
      await Promise.all(Array.from({ length: threads }, () => run(opened, undefined)))
    },
    async propose(request, { signal }) {
      if (pool === undefined) throw new AnnotationToolError('The segmentation tool was not started.')
      signal.throwIfAborted()
      const opened = pool
      const work = limit(() => {
        signal.throwIfAborted()
        return run(opened, request)
      })
      const settled = work.catch(() => undefined).finally(() => working.delete(settled)) // the caller may have given up
      working.add(settled)
      const answer = await unlessAborted(work, signal)
      if (answer.ok) return answer.outline?.map(({ x, y }) => ({ x, y }))
      throw new AnnotationToolError(answer.message)
    },
    async close() {
      await Promise.all(working)
      await Promise.all(ending)
      await pool?.destroy()
      pool = undefined
    },
  }
}
