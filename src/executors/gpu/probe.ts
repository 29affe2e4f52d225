import { setTimeout as sleep } from 'node:timers/promises'
import type nvidiaSmiOf from 'node-nvidia-smi'
import { helperEnvironment, nvidiaVariables, withEnvironment } from '../../base/index.js'
import { killTree, ownChildren } from './own-children.js'
import { type ReadCard, toReadCards } from './smi-xml.js'

/**
 * Reads the figures of this machine's GPUs, in the order of nvidia-smi; null when there are none or anything is unusual,
 * which is then a matter of `readInventory`. Never throws.
 */
export type GpuProbe = { read(options?: { readonly signal?: AbortSignal }): Promise<readonly ReadCard[] | null> }

export type NvidiaSmiOptions = { readonly timeoutMs?: number }

const KILL_WAIT_MS = 500

/**
 * A probe over the `nvidia-smi` of the PATH. Failing, hanging or missing, it answers null within the time-out. Never
 * two at the same time: who asks meanwhile gets the same answer, and null while one that could not be ended still hangs.
 */
export function createNvidiaSmiProbe(options: NvidiaSmiOptions = {}): GpuProbe {
  const { timeoutMs = 5000 } = options
  let reading: Promise<readonly ReadCard[] | null> | undefined
  let isRunning = false

  async function readOnce(signal: AbortSignal | undefined): Promise<readonly ReadCard[] | null> {
    isRunning = true
    const { default: nvidiaSmi } = await import('node-nvidia-smi') // with its XML parsers, which hosts without GPUs need not load
    const { answer, pids } = ask(nvidiaSmi)
    const ended = answer.finally(() => {
      isRunning = false
    })
    const inTime = await Promise.race([ended, deadline(timeoutMs, signal, ended)])
    if (inTime !== LATE) return inTime
    for (const pid of pids) await killTree(pid).catch(() => undefined) // not ours any more, or stuck in the driver
    await Promise.race([ended, deadline(KILL_WAIT_MS, undefined, ended)])
    return null
  }

  return {
    async read({ signal } = {}) {
      if (signal?.aborted === true || (reading === undefined && isRunning)) return null
      reading ??= readOnce(signal).finally(() => {
        reading = undefined
      })
      return reading
    },
  }
}

/** The package gives no process id and has no time-out, so the child is found as the process that was not there before. */
function ask(nvidiaSmi: typeof nvidiaSmiOf): {
  readonly answer: Promise<readonly ReadCard[] | null>
  readonly pids: number[]
} {
  const before = ownChildren()
  const answer = new Promise<readonly ReadCard[] | null>((resolve) => {
    withEnvironment(helperEnvironment(nvidiaVariables), () =>
      nvidiaSmi((error, data) => resolve(error ? null : toReadCards(data))),
    )
  })
  const pids = [...ownChildren()].filter((pid) => !before.has(pid))
  return { answer, pids }
}

const LATE = Symbol('late')

/** Resolves after the time, at the abort, or (then nobody looks at it) when the work has ended. */
async function deadline(ms: number, signal: AbortSignal | undefined, work: Promise<unknown>): Promise<typeof LATE> {
  const done = new AbortController()
  void work.finally(() => done.abort())
  const signals = signal === undefined ? [done.signal] : [done.signal, signal]
  await sleep(ms, undefined, { signal: AbortSignal.any(signals) }).catch(() => undefined) // either way it is over
  return LATE
}
