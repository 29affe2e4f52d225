import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { processTree, treeFigures } from '../../../src/process/figures/figures.js'
import { startProgram } from '../../../src/process/program.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

describe('the figures of a program', () => {
  const folder = useTemporaryFolder()

  it('count its children too', async () => {
    const program = await startProgram(
      {
        command: ['python3', fileURLToPath(new URL('../../fixtures/programs/keeps-a-core-busy.py', import.meta.url))],
        cwd: folder.path,
        env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
        logFile: join(folder.path, 'program.log'),
        owner: `test:${process.pid}:figures.1`,
        graceMs: 0,
      },
      { log: silentLogger() },
    )
    await until('ready', () => program.lastLines().includes('ready'))

    const tree = await processTree(program.pid)
    const busy = await until('a busy core', async () => {
      const figures = await treeFigures(program.pid)
      return figures !== null && figures.cpuPercent > 10 ? figures : undefined
    })
    await program.end()

    expect(tree[0]).to.equal(program.pid)
    expect(tree.length).to.be.at.least(2) // a child between fork and exec counts too
    expect(busy.memoryBytes).to.be.above(50 * 1024 * 1024)
    expect(busy.cpuPercent).to.be.below(1000)
    expect(await treeFigures(program.pid)).to.equal(null)
    expect(await processTree(program.pid)).to.deep.equal([])
  })
})
