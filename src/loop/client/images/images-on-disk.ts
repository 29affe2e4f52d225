import { readdir } from 'node:fs/promises'
import { setImmediate as giveWay } from 'node:timers/promises'

/** So many are looked at in one go. */
const AT_ONCE = 4096

/**
 * Which of the images lie in the folder as `<id>.jpg` and which do not; each id once. Projects have a hundred thousand of
 * them, so it gives way to other work in between.
 */
export async function sortByPresence(folder: string, ids: readonly string[]) {
  const present = new Set<string>()
  for await (const some of inPieces(await readdir(folder))) for (const name of some) present.add(name)
  const seen = new Set<string>()
  const available: string[] = []
  const absent: string[] = []
  for await (const some of inPieces(ids)) {
    for (const id of some) {
      if (seen.has(id)) continue
      seen.add(id)
      if (present.has(`${id}.jpg`)) available.push(id)
      else absent.push(id)
    }
  }
  return { available, absent }
}

async function* inPieces(all: readonly string[]): AsyncGenerator<readonly string[]> {
  for (let start = 0; start < all.length; start += AT_ONCE) {
    if (start > 0) await giveWay()
    yield all.slice(start, start + AT_ONCE)
  }
}
