import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Fleet, startFleet } from '../helpers/fleet.js'

const figures = fileURLToPath(new URL('../fixtures/trainers/figures', import.meta.url))

describe('the figures of a training', function () {
  this.timeout(90_000)
  let fleet: Fleet
  before(async () => {
    fleet = await startFleet({ trainerFile: join(figures, 'unmeasured.yaml'), threads: 1 })
  })
  after(() => fleet?.close())

  it("are the script's own or unknown, and what the order asked for in vain is told", async () => {
    await fleet.order({ hyperparameters: { epochs: 2, epoch: 7, momentum: 0.9, compute_validation_set: true } })

    await fleet.until({ ended: true }, 60_000)

    const training = fleet.seen()
    const record = await fleet.record()
    expect(training).to.include({ outcome: 'completed', best_f1: null, train_image_count: 6, test_image_count: 2 })
    expect(training.errors).to.deep.equal({})
    expect(training.points.at(-1)).to.deep.include({ best_epoch: 2, confusion_matrix: {}, f1: null })
    expect(record.best).to.deep.equal({ epoch: 2 })
    const warnings = training.history.flatMap(({ errors }) => errors.hyperparameters ?? [])
    expect(warnings[0]).to.contain('"epoch" (did you mean "epochs"?), "momentum"')
    const { output } = await fleet.run('trainings', 'logs', record.id)
    expect(output)
      .to.contain(`warning: ${warnings[0]}`)
      .and.match(/6 train \(\d of them for validation\) and 2 test images/)
  })
})
