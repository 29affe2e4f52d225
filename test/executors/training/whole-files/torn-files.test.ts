import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { createSetAside } from '../../../../src/executors/training/whole-files/set-aside.js'
import { createRandom, seedOf, upTo } from '../../../helpers/random.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'
import { times } from '../../../helpers/thorough.js'
import { endings, type Kind, kinds, makeModel } from './model-files.js'

const CASES = times(100, 2000)
const SEED = Number(process.env.LOOPFLEET_TEST_SEED ?? Date.now() % 1_000_000)

/** How a program writes a new model where an older one lies; each leaves a torn file at the given byte. */
const ways = {
  'cuts the old one off first': async (path: string, next: Buffer, at: number) => writeFile(path, next.subarray(0, at)),
  'writes over the old one': async (path: string, next: Buffer, at: number) => writeInto(path, next.subarray(0, at), 0),
  'writes over the old one from its end': async (path: string, next: Buffer, at: number) =>
    writeInto(path, next.subarray(at), at),
  'makes room first': async (path: string, next: Buffer, at: number) => {
    await writeFile(path, Buffer.alloc(next.length))
    await writeInto(path, next.subarray(0, at), 0)
  },
  'writes elsewhere and renames too early': async (path: string, next: Buffer, at: number) => {
    await writeFile(`${path}.tmp`, next.subarray(0, at))
    await rename(`${path}.tmp`, path)
  },
} as const
type Way = keyof typeof ways

/** By header and size nothing can be seen of these; a program that still has the file open, or holes in it, tell. */
const UNSEEN: readonly Way[] = ['writes over the old one', 'writes over the old one from its end', 'makes room first']

function waysOf(kind: Kind): readonly Way[] {
  const all = Object.keys(ways) as Way[]
  return kind === 'safetensors' ? all.filter((way) => !UNSEEN.includes(way)) : all
}

describe('files that a program has left torn', function () {
  this.timeout(60_000 + CASES * 300)
  const folder = useTemporaryFolder()

  async function tryOne(kind: Kind, way: Way, random: () => number) {
    const path = join(folder.path, `best${endings[kind]}`)
    const old = await makeModel(kind, 200 + upTo(3000, random), random)
    const next = await makeModel(kind, 200 + upTo(3000, random), random)
    await writeFile(path, old)
    const at = upTo(next.length - 2, random) + 1
    await ways[way](path, next, at)
    const aside = createSetAside({ workspace: folder.path, hasWriter: async () => false })
    const verdict = await aside.take([{ path, name: 'model' }], join(folder.path, 'aside'))
    const taken = verdict.state === 'whole' ? await readFile(join(folder.path, 'aside/model')) : undefined
    await rm(join(folder.path, 'aside'), { recursive: true, force: true })
    return { old, next, at, taken, left: await readFile(path) }
  }

  it(`are never set aside: ${CASES} cases of seed ${SEED}`, async () => {
    let torn = 0
    for (let index = 0; index < CASES; index += 1) {
      const random = createRandom(seedOf(SEED, String(index)))
      const kind = kinds[index % kinds.length] as Kind
      const possible = waysOf(kind)
      const way = possible[Math.floor(index / kinds.length) % possible.length] as Way
      const { old, next, at, taken, left } = await tryOne(kind, way, random)
      const isWhole = left.equals(old) || left.equals(next)
      if (!isWhole) torn += 1
      const what = `case ${index} of seed ${SEED}: ${kind}, ${way}, torn at byte ${at} of ${next.length} over ${old.length}`
      if (taken !== undefined) expect(holds(kind, taken, old) || holds(kind, taken, next), what).to.equal(true)
    }
    console.log(`      seed ${SEED}: ${CASES} cases, ${torn} of them torn, none set aside`)
  })

  it('are set aside byte for byte once they are whole', async () => {
    for (const kind of kinds) {
      const random = createRandom(seedOf(SEED, kind))
      const path = join(folder.path, `best${endings[kind]}`)
      const model = await makeModel(kind, 5000, random)
      await writeFile(path, model)
      const aside = createSetAside({ workspace: folder.path, hasWriter: async () => false, restMs: 0 })

      const verdict = await aside.take([{ path, name: 'model' }], join(folder.path, kind))

      expect(verdict, kind).to.deep.equal({ state: 'whole', names: ['model'] })
      expect((await readFile(join(folder.path, kind, 'model'))).equals(model), kind).to.equal(true)
    }
    expect((await readdir(folder.path)).filter((name) => name.includes('partial'))).to.deep.equal([])
  })
})

/** Byte for byte; of a zip all that is read: what lies behind its directory is a comment, or nobody's. */
function holds(kind: Kind, taken: Buffer, model: Buffer): boolean {
  if (!kind.includes('zip')) return taken.equals(model)
  const read = model.subarray(0, model.lastIndexOf(Buffer.from('PK\x01\x02')))
  return taken.subarray(0, read.length).equals(read)
}

async function writeInto(path: string, bytes: Buffer, at: number): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  const file = await open(path, 'r+')
  try {
    await file.write(bytes, 0, bytes.length, at)
  } finally {
    await file.close()
  }
}
