import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { startNodeScript } from '../../helpers/node-script.js'
import { projectRoot } from '../../helpers/project-root.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { times } from '../../helpers/thorough.js'
import { modelJsonOf, startModelLoop } from './model-loop.js'
import { target } from './pool-double.js'

const SWAPS = times(8, 200)
const ENOUGH_FOR_MEMORY = 200
const MOST_GROWTH = 1.02
const VERSIONS = ['1.0', '1.1', '1.2']

describe('Swaps of real models under load', function () {
  this.timeout(60_000 + SWAPS * 10_000)
  const folder = useTemporaryFolder()

  it(`fail no request, and leave nothing of the old models, ${SWAPS} times`, async () => {
    const loop = await startModelLoop()
    const onnx = await readFile(join(projectRoot(), 'test/fixtures/onnx/constant-yolov8.onnx'))
    for (const version of VERSIONS) {
      const names = ['a', 'b'].map((id) => ({ id, name: `box of ${version}`, type: 'box' }))
      const modelJson = modelJsonOf(target(version), { categories: names, resolution: 64 })
      await loop.offer(version, { 'model.json': modelJson, 'model.onnx': onnx })
    }

    const script = new URL('../../fixtures/programs/swaps-models-under-load', import.meta.url)
    const args = [folder.path, loop.http.host, VERSIONS.join(','), String(SWAPS)]
    const program = await startNodeScript(script, args, { flags: ['--expose-gc'] })
    const result = JSON.parse(program.firstLine)
    await loop.http.close()

    if (SWAPS >= ENOUGH_FOR_MEMORY)
      console.log(`      ${result.answered} answers, MB: ${everyTenth(result.rssMb).join(' ')}`)
    expect(result).to.deep.include({ failed: 0, wrong: 0, errors: [] })
    expect(result.answered).to.be.above(SWAPS)
    expect(result.rssMb).to.have.lengthOf(SWAPS)
    expect(result.threadsAtEnd, 'threads when two models of two threads each were gone').to.be.at.most(
      result.threadsAtStart,
    )
    if (SWAPS < ENOUGH_FOR_MEMORY) return
    const [middle, end] = [meanOf(result.rssMb.slice(-110, -90)), meanOf(result.rssMb.slice(-20))]
    expect(end / middle, 'growth of memory over the last 100 swaps').to.be.at.most(MOST_GROWTH)
  })
})

function everyTenth(values: readonly number[]): number[] {
  return values.filter((_, index) => index % 10 === 9)
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
