import { setTimeout as sleep } from 'node:timers/promises'
import { backOffMs, messageOf } from '../../base/index.js'
import { isAccountRefused } from '../../loop/client/index.js'
import { paths } from '../../loop/protocol/index.js'
import type { LoopNode } from '../../nodes/index.js'
import type { CliContext } from '../context.js'
import { sayWaiting } from '../ready-line.js'
import type { LoopClient } from './loop-client.js'

const RETRY_MAX_MS = 5000

export type LoginParts = {
  readonly loop: LoopClient
  readonly node: Pick<LoopNode, 'whenConnected'>
}

/**
 * Resolves when the node is logged in and connected: before, it could take no order. Tries until the signal aborts, and
 * prints each new cause of a failure; throws LF_LOOP_LOGIN when the Loop refuses the account.
 */
export async function untilLoggedIn(part: string, { loop, node }: LoginParts, { signal }: CliContext): Promise<void> {
  let lastReason = ''
  for (let attempt = 1; ; attempt += 1) {
    try {
      await checkLogin(loop, signal)
      break
    } catch (error) {
      signal.throwIfAborted()
      if (isAccountRefused(error)) throw error
      const reason = messageOf(error)
      if (reason !== lastReason) sayWaiting(part, reason)
      lastReason = reason
    }
    await sleep(backOffMs(attempt, { firstMs: 250, maxMs: RETRY_MAX_MS }), undefined, { signal })
  }
  await node.whenConnected({ signal })
}

async function checkLogin({ session }: LoopClient, signal: AbortSignal): Promise<void> {
  if (session.hasCredentials) await session.login({ signal })
  else await session.request({ method: 'GET', path: paths.status(), login: false, signal })
}

/** Resolves with the error of `work` unless the part was asked to end; never when it succeeds, since the part goes on then. */
export function failureBeforeReady(work: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    work.catch((error: unknown) => {
      if (!signal.aborted) resolve(error)
    })
  })
}
