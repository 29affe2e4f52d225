import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { examineStructure } from './structure.js'

/**
 * What is missing in these files, which nobody writes any more, or undefined: one is cut off by what its own content
 * says, or refers to a file that is not among them.
 */
export async function filesProblem(paths: readonly string[]): Promise<string | undefined> {
  const found = await Promise.all(paths.map((path) => examineFile(path)))
  for (const { name, structure } of found) {
    if (structure.state === 'cut') return `"${name}" is not whole: ${structure.problem}`
    for (const need of structure.needs) {
      const there = found.find((other) => other.name === need.name)
      if (there === undefined) return `"${name}" refers to "${need.name}", which is not among the files`
      if (there.size < need.bytes) {
        return `"${name}" needs ${need.bytes} bytes of "${need.name}", which has ${there.size}`
      }
    }
  }
  return undefined
}

/** Whether a file is cut off by what its own content says. An empty one may be meant so. */
export async function isCut(path: string): Promise<boolean> {
  const { size, structure } = await examineFile(path)
  return size > 0 && structure.state === 'cut'
}

async function examineFile(path: string) {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    return { name: basename(path), size, structure: await examineStructure(handle, { name: path, size }) }
  } finally {
    await handle.close()
  }
}
