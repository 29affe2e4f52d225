import { expect } from 'chai'
import { createClosers, openResource, withClosers } from '../../src/base/closers.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { rejection } from '../helpers/rejection.js'

const log = silentLogger()

describe('what lives as long as one call', () => {
  it('is closed in reverse order when the call has ended, and the call answers', async () => {
    const closed: string[] = []

    const answer = await withClosers(log, async (closers) => {
      for (const name of ['first', 'second']) closers.add(name, () => void closed.push(name))
      expect(closed).to.deep.equal([])
      return 'answer'
    })

    expect(answer).to.equal('answer')
    expect(closed).to.deep.equal(['second', 'first'])
  })

  it('is closed before the error of the call is thrown', async () => {
    const closed: string[] = []
    const error = new Error('the work failed')

    const thrown = await rejection(
      withClosers(log, async (closers) => {
        closers.add('only', () => void closed.push('only'))
        throw error
      }),
    )

    expect(thrown).to.equal(error)
    expect(closed).to.deep.equal(['only'])
  })
})

describe('a resource that is made of several', () => {
  it('closes all of them once, however often it is asked', async () => {
    const closed: string[] = []
    const resource = await openResource(log, async (closers) => {
      for (const name of ['first', 'second']) closers.add(name, () => void closed.push(name))
      return { value: 1 }
    })

    await Promise.all([resource.close(), resource.close()])
    await resource.close()

    expect(resource.value).to.equal(1)
    expect(closed).to.deep.equal(['second', 'first'])
  })

  it('closes what is open already when the next one fails, before it throws', async () => {
    const closed: unknown[] = []
    const error = new Error('the port is taken')

    const thrown = await rejection(
      openResource(log, async (closers) => {
        closers.add('files', (reason) => void closed.push(reason))
        throw error
      }),
    )

    expect(thrown).to.equal(error)
    expect(closed).to.deep.equal([error])
  })

  it('keeps what changes about it', async () => {
    let pid = 1
    const resource = await openResource(log, async () => ({
      get pid() {
        return pid
      },
    }))

    pid = 2

    expect(resource.pid).to.equal(2)
  })

  it('closes what is opened after its end immediately', async () => {
    const closed: string[] = []
    const closers = createClosers(log)
    await closers.closeAll()

    closers.add('late', () => void closed.push('late'))
    await closers.closeAll()
    await undefined

    expect(closed).to.deep.equal(['late'])
  })
})
