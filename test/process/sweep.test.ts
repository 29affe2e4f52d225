import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { sweepOwned } from '../../src/process/sweep.js'

describe('a sweep', () => {
  const startMarked = (owner: string) =>
    spawn('sleep', ['60'], { env: { PATH: process.env.PATH, LOOPFLEET_OWNER: owner }, stdio: 'ignore', detached: true })

  it('kills the processes whose owner matches and spares all others', async () => {
    const dead = startMarked(`dead:${process.pid}:a.1`)
    const alive = startMarked(`alive:${process.pid}:a.1`)
    const ended = once(dead, 'exit')

    const killed = await sweepOwned((owner) => owner.startsWith(`dead:${process.pid}:`))

    expect(killed).to.deep.equal([dead.pid])
    expect(await ended).to.deep.equal([null, 'SIGKILL'])
    expect(alive.exitCode ?? alive.signalCode).to.equal(null)
    alive.kill('SIGKILL')
    await once(alive, 'exit')
  })

  it('finds nothing when nobody is marked so', async () => {
    expect(await sweepOwned((owner) => owner === `nobody:${process.pid}`)).to.deep.equal([])
  })

  it('never asks about processes without an owner', async () => {
    const asked: string[] = []

    await sweepOwned((owner) => {
      asked.push(owner)
      return false
    })

    expect(asked).to.not.include('')
  })
})
