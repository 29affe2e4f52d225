import { luaScript, type RedisLink } from '../redis/index.js'
import type { JobEvents } from './job-events.js'
import { parseJobFailure, toJobFailure } from './job-failure.js'
import type { Settled } from './local-events.js'
import { JobFailedError, JobRemovedError } from './queue-errors.js'

const LOOK_AGAIN_MS = 2_000
// If this process works on the job itself, its end is mostly reported sooner than a poll would find it.
const LOOK_LOCAL_MS = 100

// In one step: a job that is tried again is in none of the two sets, although it once has failed.
const LOOK = luaScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return {'removed'} end
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return {'completed', redis.call('HGET', KEYS[1], 'returnvalue')} end
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then return {'failed', redis.call('HGET', KEYS[1], 'failedReason')} end
return {'open'}`)

export type AwaitedJob = { readonly queue: string; readonly id: string }

/**
 * Waits until a job is done and returns its value; throws LF_JOB_FAILED, LF_JOB_REMOVED or the signal's reason. Events
 * make it quick; looking again every two seconds makes it sure (events get lost, jobs get removed, Redis restarts).
 */
export async function waitForJob(
  job: AwaitedJob,
  options: { readonly signal?: AbortSignal | undefined },
  deps: {
    readonly link: Pick<RedisLink, 'client' | 'prefix'>
    readonly events: Pick<JobEvents, 'listen' | 'isLocal' | 'outcomeOf'>
    readonly begin: () => Promise<void>
  },
): Promise<unknown> {
  const { signal } = options
  signal?.throwIfAborted()
  let wake: (settled?: Settled) => void = () => undefined
  const nextChange = () => new Promise<Settled | undefined>((resolve) => (wake = resolve))
  const stopListening = await abortable(
    deps.events.listen(job.queue, job.id, (settled) => wake(settled)),
    signal,
  )
  let timer: NodeJS.Timeout | undefined
  const hear = async (change: Promise<Settled | undefined>, ms: number) => {
    timer = setTimeout(() => wake(), ms)
    const settled = await abortable(change, signal)
    clearTimeout(timer)
    return settled
  }
  try {
    const first = nextChange()
    await abortable(deps.begin(), signal)
    const told = deps.events.isLocal(job.queue) ? await hear(first, LOOK_LOCAL_MS) : undefined
    if (told !== undefined) return told.value
    for (;;) {
      const change = nextChange() // before looking, so that nothing falls in between
      const outcome = await abortable(lookAtJob(job, deps), signal)
      if (outcome !== undefined) return outcome.value
      const settled = await hear(change, LOOK_AGAIN_MS)
      if (settled !== undefined) return settled.value
    }
  } finally {
    clearTimeout(timer)
    stopListening()
  }
}

type LookDeps = {
  readonly link: Pick<RedisLink, 'client' | 'prefix'>
  readonly events: Pick<JobEvents, 'outcomeOf'>
}

async function settledBy(outcome: Promise<unknown>, job: AwaitedJob): Promise<Settled> {
  try {
    return { value: await outcome }
  } catch (error) {
    throw new JobFailedError(job, toJobFailure(error))
  }
}

async function lookAtJob(
  { queue, id }: AwaitedJob,
  { link: { client, prefix }, events }: LookDeps,
): Promise<Settled | undefined> {
  const base = `${prefix}:${queue}`
  const [state, text] = (await LOOK(client, [`${base}:${id}`, `${base}:completed`, `${base}:failed`], [id])) as [
    string,
    (string | null)?,
  ]
  switch (state) {
    case 'removed': {
      // A Redis that came back empty knows nothing of what we work on.
      const outcome = events.outcomeOf(queue, id)
      if (outcome !== undefined) return await settledBy(outcome, { queue, id })
      throw new JobRemovedError({ queue, id })
    }
    case 'completed':
      return { value: tryJson(text) }
    case 'failed':
      throw new JobFailedError({ queue, id }, parseJobFailure(text ?? ''))
    default:
      return undefined
  }
}

function tryJson(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined // a job without a value
  }
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  work.catch(() => undefined) // when the signal comes first nobody waits for its failure any more
  let onAbort: () => void = () => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
