import { once } from 'node:events'
import { join } from 'node:path'
import { expect } from 'chai'
import { execa } from 'execa'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { environmentOf, ORGANIZATION, PROJECT, startPythonNodeAtLoop, untilSeen } from './python-training.js'

const newest = { version: '0.27.0', name: 'newest', dataFolderBy: 'environment' } as const

describe('a trainer of the Python library whose machine another trainer has', () => {
  const folder = useTemporaryFolder()

  before('installs the library', async function () {
    this.timeout(600_000)
    await environmentOf(newest)
  })

  it('is shown as blocked, refuses an order, and is idle when the machine is free again', async function () {
    this.timeout(60_000)
    const lock = join(folder.path, 'training.lock')
    const sibling = execa('flock', [lock, 'sh', '-c', 'echo locked; read line'], { stdin: 'pipe', reject: false })
    await once(sibling.stdout, 'data')
    const trainer = await startPythonNodeAtLoop(newest, { kind: 'trainer', env: { TRAINING_SLOT_LOCK: lock } })
    const seenAs = (state: string) => untilSeen(trainer, () => trainer.loop.nodes().find((one) => one.state === state))

    try {
      const { id } = await seenAs('blocked')
      const { ack, training_number } = await trainer.loop.orderTraining(ORGANIZATION, PROJECT, { trainer: id })
      expect(ack).to.include({ success: false, payload: 'refused' })
      const ordered = trainer.loop.trainings().find(({ number }) => number === training_number)
      expect(ordered?.outcome).to.equal('refused')

      sibling.stdin.end()
      await seenAs('idle')
    } finally {
      sibling.stdin.end()
      await sibling
      await trainer.remove()
    }
  })
})
