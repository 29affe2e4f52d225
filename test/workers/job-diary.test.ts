import { expect } from 'chai'
import { createJobDiary } from '../../src/workers/job-diary.js'
import { until } from '../helpers/until.js'

describe('what a step says in the log of its job', () => {
  const written: string[][] = []
  const diary = () => createJobDiary({ log: async (...lines) => void written.push([...lines]) })
  beforeEach(() => written.splice(0))

  it('goes out at once when the step is short', () => {
    const { say, end } = diary()
    say('started')
    say('half way')
    end('done')

    expect(written).to.deep.equal([['started', 'half way', 'done']])
  })

  it('is there while the step goes on', async () => {
    const { say, end } = diary()
    say('started')

    await until('it is written', () => written.length === 1)
    end('done')

    expect(written).to.deep.equal([['started'], ['done']])
  })

  it('is given to whoever writes it by other means', async () => {
    const { say, take, end } = diary()
    say('started')

    expect(take('done')).to.deep.equal(['started', 'done'])
    end()

    expect(written).to.deep.equal([])
  })

  it('is nothing when there is nothing to say', () => {
    diary().end()

    expect(written).to.deep.equal([])
  })

  it('does not end the step when it cannot be written', async () => {
    const { say, end } = createJobDiary({ log: () => Promise.reject(new Error('away')) })
    say('started')
    end()
  })
})
