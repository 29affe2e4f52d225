import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { RunInRedis } from '../../../src/queue/records/records.js'
import { createRecordWatch, type HeldWork } from '../../../src/workers/engine/record-watch.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

describe('the records of what a host works on', () => {
  const temporary = useTemporaryFolder()

  async function aLostTraining() {
    const folder = join(temporary.path, 'training')
    await mkdir(folder)
    let answer: RunInRedis = { state: 'lost', found: null }
    let held: readonly HeldWork[] = [
      { what: 'training a', run: 1, folder, compare: async () => answer, end: () => undefined },
    ]
    const watch = createRecordWatch({ held: () => held, log: silentLogger() })
    await watch.check()
    return {
      watch,
      folder,
      leave: () => (held = []),
      bringBack: () => (answer = { state: 'same', found: 1 }),
    }
  }

  it('are an error while one is missing, which names the folder and what to do', async () => {
    const { watch, folder, leave } = await aLostTraining()
    leave()
    await watch.check()

    expect(watch.errors).to.have.lengthOf(1)
    expect(watch.errors[0]).to.contain(folder).and.contain('delete that folder')
    expect(watch.folders).to.deep.equal([folder])
  })

  it('are no error once they are there again', async () => {
    const { watch, leave, bringBack } = await aLostTraining()
    leave()
    bringBack()
    await watch.check()

    expect(watch.errors).to.deep.equal([])
  })

  it('are no error once the work has ended and its files were deleted', async () => {
    const { watch, folder, leave } = await aLostTraining()
    leave()
    await rm(folder, { recursive: true })
    await watch.check()

    expect(watch.errors).to.deep.equal([])
  })

  it('stay an error while the host still works on it, whatever became of its folder', async () => {
    const { watch, folder } = await aLostTraining()
    await rm(folder, { recursive: true })
    await watch.check()

    expect(watch.errors).to.have.lengthOf(1)
  })
})
