import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { z } from 'zod'
import { readJsonFile } from '../../base/index.js'

export const OFFSET_FILE = '.events-offset.json'

const offsetSchema = z.object({ offset: z.int().min(0) })

/** Up to where the events of a workspace are dealt with. */
export async function readOffset(workspace: string): Promise<number> {
  try {
    return (await readJsonFile(join(workspace, OFFSET_FILE), offsetSchema))?.offset ?? 0
  } catch {
    return 0 // a spoilt note of ours only means that some events are handed over twice
  }
}

/**
 * Remembers up to where the events are dealt with, for the next start in this workspace. Whole or not at all when we
 * are killed, but without waiting for the disk: after a power cut some events are handed over twice.
 */
export async function saveOffset(workspace: string, offset: number): Promise<void> {
  const path = join(workspace, OFFSET_FILE)
  await writeFile(`${path}.new`, JSON.stringify({ offset }))
  await rename(`${path}.new`, path)
}

/** A line of the events file that may be dealt with after later ones. */
export type HeldLine = { confirm(): Promise<void> }

/** Notes what is dealt with, never beyond a line that is held: after a kill the next start begins there. */
export function createOffsetNote(workspace: string) {
  const held = new Set<number>()
  let done = 0
  const saves = pLimit(1)

  // One after the other: a model that was given up is noted beside what the reader has dealt with.
  async function confirm(endOffset: number): Promise<void> {
    done = Math.max(done, endOffset)
    await saves(() => saveOffset(workspace, Math.min(done, ...held)))
  }

  return {
    confirm,
    /** A line from here to there; `confirm` once it is dealt with. */
    hold(startOffset: number, endOffset: number): HeldLine {
      held.add(startOffset)
      return {
        confirm: async () => {
          held.delete(startOffset)
          await confirm(endOffset)
        },
      }
    },
  }
}
