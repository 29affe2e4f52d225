import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, rename, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { filesProblem } from '../../../../src/executors/training/whole-files/files-problem.js'
import { createSetAside, type SetAside } from '../../../../src/executors/training/whole-files/set-aside.js'
import { watchWriters } from '../../../../src/process/figures/open-writers.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'
import { until } from '../../../helpers/until.js'
import { makeModel, onnx, safetensors } from './model-files.js'

const REST_MS = 300

describe('setting files aside', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  const at = (name: string) => join(folder.path, name)
  const target = () => at('.set-aside/000001')
  const create = (hasWriter: Parameters<typeof createSetAside>[0]['hasWriter'] = async () => false): SetAside =>
    createSetAside({ workspace: folder.path, hasWriter, restMs: REST_MS })
  const source = (name: string, isBeside = false) => ({ path: at(name), name, isBeside })

  it('takes a zip immediately, and content of no known format once it has rested', async () => {
    await writeFile(at('a.pt'), await makeModel('zip', 1000, Math.random))
    await writeFile(at('b.engine'), 'engine')
    const aside = create()

    expect(await aside.take([source('a.pt')], target())).to.include({ state: 'whole' })
    expect(await aside.take([source('b.engine')], target())).to.include({ state: 'later' })
    await until('it has rested', async () => (await aside.take([source('b.engine')], target())).state === 'whole')
  })

  it('counts no rest from the moment in which the program is ending', async () => {
    await writeFile(at('b.engine'), 'engine')
    const aside = create()
    await aside.take([source('b.engine')], target())

    aside.freeze()
    await new Promise((resolve) => setTimeout(resolve, 2 * REST_MS)) // what is tested is that time does not help

    const verdict = await aside.take([source('b.engine')], target())
    expect(verdict).to.deep.equal({ state: 'later', problem: 'b.engine was changed less than 0.3 s ago' })
    expect(await aside.take([source('b.engine')], target(), 'program-ended-well')).to.include({ state: 'whole' })
  })

  for (const [how, code] of [
    ['has it open', "f = open('b.engine', 'ab')"],
    [
      'has a child that has it open',
      "import os\nf = open('b.engine', 'ab')\nif os.fork() == 0: time.sleep(60)\nf.close()",
    ],
    ['has it mapped', "import mmap\nf = open('b.engine', 'r+b')\nm = mmap.mmap(f.fileno(), 0)\nf.close()"],
  ] as const) {
    it(`waits for a program that ${how} for writing`, async () => {
      await writeFile(at('b.engine'), 'engine')
      const script = `import time\n${code}\nprint('open', flush=True)\ntime.sleep(60)`
      const program = spawn('python3', ['-c', script], { cwd: folder.path, detached: true })
      try {
        let printed = ''
        program.stdout.on('data', (text) => (printed += text))
        await until('it is open', () => printed.includes('open'))
        const aside = create(watchWriters({ pid: program.pid ?? 0, owner: 'nobody' }))
        await aside.take([source('b.engine')], target())
        const problem = async () => JSON.stringify(await aside.take([source('b.engine')], target()))

        await until('it has rested', async () => (await problem()).includes('is open for writing'))
      } finally {
        process.kill(-(program.pid ?? 0), 'SIGKILL')
        await new Promise((resolve) => program.once('close', resolve))
      }
    })
  }

  it('takes an ONNX model with the files that its tensors lie in, and none without', async () => {
    await writeFile(at('best.onnx'), onnx(Buffer.alloc(100), { location: 'best.onnx.data', length: 100 }))
    const aside = create()
    const take = () => aside.take([{ path: at('best.onnx'), name: 'model.onnx' }], target(), 'program-ended-well')

    expect(await take()).to.include({ problem: 'best.onnx refers to "best.onnx.data", which is not there' })
    await writeFile(at('best.onnx.data'), Buffer.alloc(60))
    expect(await take()).to.include({ problem: 'best.onnx refers to "best.onnx.data", which has 60 of 100 bytes' })
    await writeFile(at('best.onnx.data'), Buffer.alloc(100, 7))
    expect(await take()).to.deep.equal({ state: 'whole', names: ['model.onnx', 'best.onnx.data'] })
    expect(await readFile(join(target(), 'best.onnx.data'))).to.deep.equal(Buffer.alloc(100, 7))
    expect(await filesProblem([join(target(), 'model.onnx')])).to.contain('refers to "best.onnx.data"')
  })

  it('takes the parts of an index, and refuses what lies elsewhere', async () => {
    const index = { weight_map: { a: 'part-1.safetensors', b: 'part-2.safetensors' } }
    await writeFile(at('model.safetensors.index.json'), JSON.stringify(index))
    await writeFile(at('part-1.safetensors'), safetensors(Buffer.alloc(50)))
    await writeFile(at('part-2.safetensors'), safetensors(Buffer.alloc(50)).subarray(0, -1))
    const aside = create()
    const take = () => aside.take([source('model.safetensors.index.json')], target(), 'program-ended-well')

    expect(await take())
      .to.have.property('problem')
      .that.contains('part-2.safetensors is not whole')
    await writeFile(at('part-2.safetensors'), safetensors(Buffer.alloc(50)))
    expect(await take())
      .to.have.property('names')
      .that.has.lengthOf(3)
    await writeFile(at('model.safetensors.index.json'), JSON.stringify({ weight_map: { a: '../secret' } }))
    expect(await take())
      .to.have.property('problem')
      .that.contains('must lie beside it')
  })

  it('does not trust the size of a safetensors file in which room was only made', async () => {
    const whole = safetensors(Buffer.alloc(1_000_000, 1))
    await writeFile(at('m.safetensors'), whole.subarray(0, 4096))
    await truncate(at('m.safetensors'), whole.length)

    expect(await create().take([source('m.safetensors')], target())).to.include({ state: 'later' })
  })

  it('copies the file it has examined, also when another one is renamed over it', async () => {
    const first = await makeModel('zip', 2_000_000, Math.random)
    await writeFile(at('best.pt'), first)
    await writeFile(at('next.pt'), await makeModel('zip', 1000, Math.random))
    const aside = create(async () => {
      await rename(at('next.pt'), at('best.pt')) // after it was examined, before it is copied
      return false
    })

    expect(await aside.take([source('best.pt')], target())).to.include({ state: 'whole' })
    expect((await readFile(join(target(), 'best.pt'))).equals(first)).to.equal(true)
  })

  it('takes what lies beside a model in its last state at rest, while it is written again', async () => {
    await writeFile(at('results.csv'), 'epoch\n1\n')
    const aside = create()
    const beside = source('results.csv', true)
    await aside.keepRested(beside)
    await until('it is kept', async () => {
      await aside.keepRested(beside)
      return (await readdir(at('.set-aside/beside')).catch((): string[] => [])).includes('results.csv')
    })
    await writeFile(at('best.pt'), await makeModel('zip', 1000, Math.random))
    const aSecondAgo = Date.now() / 1000 - 1
    await utimes(at('best.pt'), aSecondAgo, aSecondAgo)
    await writeFile(at('results.csv'), 'epoch\n1\n2')

    expect(await aside.take([source('best.pt'), beside], target())).to.include({ state: 'whole' })
    expect(await readFile(join(target(), 'results.csv'), 'utf8')).to.equal('epoch\n1\n')
  })

  it('names folders, and what is missing, and leaves no half copies', async () => {
    await mkdir(at('saved_model'))
    const aside = create()

    expect(await aside.take([source('saved_model')], target())).to.include({ problem: 'saved_model is no plain file' })
    expect(await aside.take([source('none.pt')], target())).to.include({ state: 'missing' })
    expect(await readdir(folder.path)).to.deep.equal(['saved_model'])
  })
})
