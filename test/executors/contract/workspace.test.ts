import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { setResume, trainingFileSchema, writeWorkspace } from '../../../src/executors/contract/workspace.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { makeOrder } from '../support.js'

describe('workspace', () => {
  const folder = useTemporaryFolder()

  async function read(): Promise<Record<string, unknown>> {
    return JSON.parse(await readFile(join(folder.path, 'training.json'), 'utf8'))
  }

  it('tells the program its order in the spelling of the wire', async () => {
    const order = makeOrder({ hyperparameters: { epochs: 3 }, modelVariant: 'small' })

    await writeWorkspace({ folder: folder.path, order, training: { id: 't1' }, dataset: 'yolo', baseModel: true })

    const content = await read()
    expect(content).to.deep.include({ version: 1, id: 't1', training_number: 7, model_variant: 'small', resume: false })
    expect(content).to.deep.include({ dataset: { format: 'yolo', folder: 'dataset' }, hyperparameters: { epochs: 3 } })
    expect(content.base_model).to.deep.equal({ folder: 'base_model' })
    expect(content.categories).to.deep.equal(order.categories)
    expect(trainingFileSchema.safeParse(content).success).to.equal(true)
  })

  it('says when to resume and keeps the rest', async () => {
    await writeWorkspace({ folder: folder.path, order: makeOrder(), training: { id: 't1' }, dataset: 'raw' })
    const before = await read()

    await setResume(folder.path, true)

    expect(await read()).to.deep.equal({ ...before, resume: true })
  })
})
