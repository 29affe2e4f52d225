import type { FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import { createFileBytes, type FileBytes, TruncatedError } from '../../../base/binary/index.js'
import { HDF5_SIGNATURE, hdf5Problem } from './hdf5.js'
import { type NeededFile, readOnnx } from './onnx.js'
import { safetensorsProblem } from './safetensors.js'
import { zipProblem } from './zip.js'

/**
 * What the content of a file says about its being whole: `whole` by its own directory, `cut` with what is missing, or
 * `unknown`, if its format does not show it. `needs` are the files beside it without which it is worth nothing.
 */
export type Structure =
  | { readonly state: 'whole' | 'unknown'; readonly needs: readonly NeededFile[] }
  | { readonly state: 'cut'; readonly problem: string }

const ZIP_START = Buffer.from('PK')
const ALWAYS_ZIP = /\.(npz|zip|keras|mar|ptl)$/i
/** The unit of `stat`, whatever the disk's own is. */
const BLOCK = 512
const MAX_INDEX_BYTES = 64 * 1024 * 1024

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) })

/** Examines an open file; `content` also compares checksums, which reads it all. */
export async function examineStructure(
  handle: FileHandle,
  { name, size, content = false }: { readonly name: string; readonly size: number; readonly content?: boolean },
): Promise<Structure> {
  const file = createFileBytes(handle, size)
  try {
    const structure = await examine(file, name, content)
    // Room that was made and not filled yet: a size says nothing then.
    const isHollow = structure.state === 'whole' && /\.safetensors$/i.test(name) && (await hasHoles(handle))
    return isHollow ? { ...structure, state: 'unknown' } : structure
  } catch (error) {
    if (error instanceof TruncatedError) return { state: 'cut', problem: error.message }
    throw error
  }
}

async function hasHoles(handle: FileHandle): Promise<boolean> {
  const { blocks, size } = await handle.stat()
  return blocks * BLOCK < size
}

async function examine(file: FileBytes, name: string, content: boolean): Promise<Structure> {
  if (file.size === 0) return { state: 'cut', problem: 'it is empty' }
  if (/\.safetensors$/i.test(name)) return toStructure('whole', await safetensorsProblem(file))
  if (/\.onnx$/i.test(name)) {
    const found = await readOnnx(file)
    return 'problem' in found ? { state: 'cut', ...found } : { state: 'unknown', needs: found.needs }
  }
  if (/\.index\.json$/i.test(name)) return await examineIndex(file)
  const start = await file.read(0, Math.min(8, file.size))
  if (isZip(start, name)) return toStructure('whole', await zipProblem(file, { content }))
  if (start.equals(HDF5_SIGNATURE)) return toStructure('unknown', await hdf5Problem(file))
  return { state: 'unknown', needs: [] }
}

function toStructure(state: 'whole' | 'unknown', problem: string | undefined): Structure {
  return problem === undefined ? { state, needs: [] } : { state: 'cut', problem }
}

function isZip(start: Buffer, name: string): boolean {
  if (ALWAYS_ZIP.test(name)) return true
  if (!start.subarray(0, 2).equals(ZIP_START)) return false
  const kind = start.subarray(2, 4)
  return kind.length < 2 || kind.equals(Buffer.from([3, 4])) || kind.equals(Buffer.from([5, 6]))
}

/** The table of contents of weights in several files, as the Hugging Face libraries write it. */
async function examineIndex(file: FileBytes): Promise<Structure> {
  if (file.size > MAX_INDEX_BYTES) return { state: 'unknown', needs: [] }
  const json = tryJson((await file.read(0, file.size)).toString('utf8'))
  if (json === undefined) return { state: 'cut', problem: 'its JSON is cut off' }
  const index = indexSchema.safeParse(json).data
  const names = new Set(index === undefined ? [] : Object.values(index.weight_map))
  return { state: 'unknown', needs: [...names].map((name) => ({ name, bytes: 1 })) }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // half written
  }
}
