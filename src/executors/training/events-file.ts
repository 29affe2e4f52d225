import { appendFile, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FileLine, hasCode, inBatches, readJsonLines, tailJsonLines } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import {
  createOffsetNote,
  EVENTS_FILE,
  type ModelEvent,
  OFFSET_FILE,
  parseEventLine,
  readOffset,
  saveOffset,
  type TrainerEvent,
} from '../contract/index.js'
import type { EventSource, EventSourceDeps } from './event-source.js'
import { createReportedModels, type ReportedModel } from './reported-models.js'

export type EventsFileOptions = {
  readonly workspace: string
  /** Whether unhandled events of an earlier program are passed on; otherwise they are ignored. */
  readonly resume: boolean
}

/** Files of a workspace that show which events were handled. */
export const eventFiles: readonly string[] = [EVENTS_FILE, OFFSET_FILE]

const EVERY_MS = 50
const MODELS_EVERY_MS = 250
const SHOWN_BAD_LINES = 20

/**
 * Opens the events file of a workspace for a program that is about to start. An unfinished line of a killed program gets a
 * line end, or the first line of the new program would be appended to it. Models are passed on when their files were copied.
 */
export async function openEventsFile(options: EventsFileOptions, deps: EventSourceDeps): Promise<EventSource> {
  const { workspace, resume } = options
  const path = join(workspace, EVENTS_FILE)
  const writtenMs = await mtimeOf(path)
  const size = await closeHalfLine(path)
  const models = createReportedModels(workspace, deps)
  const note = createOffsetNote(workspace)
  const read = createLineReader(deps.log)
  let position = size

  /** Models come after the other events of one read: only the newest of them needs its files copied. */
  async function take(lines: readonly FileLine[]): Promise<void> {
    const reported: ReportedModel[] = []
    for (const line of lines) {
      const startOffset = position
      position = line.endOffset
      const event = read(line)
      if (event?.event === 'model') reported.push(toReported(event, startOffset, line.endOffset))
      else if (event?.event === 'progress')
        deps.queue.push({ event }) // without a note: there are many, and after a crash they are outdated
      else if (event !== undefined) deps.queue.push({ event, confirm: () => note.confirm(line.endOffset) })
    }
    if (reported.length > 0) await models.offer(reported)
  }

  function toReported(event: ModelEvent, startOffset: number, endOffset: number): ReportedModel {
    const held = note.hold(startOffset, endOffset)
    return { event, confirm: () => held.confirm() }
  }

  /** Passes on the events of a program that was killed together with its worker. */
  async function handOverRest(): Promise<void> {
    const reported: ReportedModel[] = []
    const from = await readOffset(workspace)
    for await (const line of readJsonLines(path, { from })) {
      const event = read(line)
      const confirm = () => note.confirm(line.endOffset)
      if (event?.event === 'metrics') deps.queue.push({ event, confirm })
      if (event?.event === 'model') reported.push({ event, confirm })
    }
    await models.recover(reported, writtenMs)
  }

  if (resume) await handOverRest()
  else if (size > 0) await saveOffset(workspace, size)
  else await rm(join(workspace, OFFSET_FILE), { force: true })
  return {
    async follow(signal) {
      const watching = pollModels(models, signal)
      const lines = tailJsonLines(path, { signal, everyMs: EVERY_MS, from: size })
      for await (const batch of inBatches(lines)) await take(batch)
      await watching
    },
    async drain(end) {
      for await (const batch of inBatches(readJsonLines(path, { from: position }))) await take(batch)
      await models.settle(end)
    },
  }
}

async function pollModels(models: { poll(): Promise<void> }, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await models.poll()
    await sleep(MODELS_EVERY_MS, undefined, { signal }).catch(() => undefined) // an abort ends the loop
  }
}

/** Files of reported models that were not handled, relative to the workspace. */
export async function unhandledModelFiles(workspace: string): Promise<string[]> {
  const files: string[] = []
  for await (const { line, tooLong } of readJsonLines(join(workspace, EVENTS_FILE), {
    from: await readOffset(workspace),
  })) {
    const parsed = tooLong === true ? undefined : parseEventLine(line)
    if (parsed?.ok && parsed.event.event === 'model') files.push(...Object.values(parsed.event.files).flat())
  }
  return files
}

/** The time of the last event; a file that has changed later may be an unfinished one of the next model. */
async function mtimeOf(path: string): Promise<number> {
  try {
    return Number((await stat(path, { bigint: true })).mtimeNs) / 1e6
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0
    throw error
  }
}

async function closeHalfLine(path: string): Promise<number> {
  const tail = await lastByte(path)
  if (tail === undefined || tail.byte === 0x0a) return tail?.size ?? 0
  await appendFile(path, '\n')
  return tail.size + 1
}

async function lastByte(path: string): Promise<{ readonly size: number; readonly byte: number } | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      if (size === 0) return undefined
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
      return { size, byte: buffer[0] ?? 0x0a }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Ignores lines that are no events, and logs the first ones. */
function createLineReader(log: Logger): (line: FileLine) => TrainerEvent | undefined {
  let bad = 0
  return ({ line, tooLong }) => {
    const parsed = tooLong === true ? ({ ok: false, reason: 'too-long', line } as const) : parseEventLine(line)
    if (parsed.ok) return parsed.event
    bad += 1
    const { reason, problem } = parsed
    if (bad <= SHOWN_BAD_LINES)
      log.warn({ reason, problem, line: line.slice(0, 200) }, 'line of the events file ignored')
    return undefined
  }
}
