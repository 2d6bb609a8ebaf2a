/** Container names: the rule, and generated ones (`adjective_surname`). */
import { randomInt } from 'node:crypto';
import { BoxshipError } from '@boxship/base';

const pattern = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const maxLength = 255;

/** The name without its slash. @throws invalidArgument in Docker's words */
export function checkContainerName(name: string): string {
  if (!pattern.test(name) || name.length > maxLength)
    throw new BoxshipError(
      'invalidArgument',
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  return name.replace(/^\//, '');
}

const adjectives =
  'able amber ample brave brisk bright calm candid clever cosy crisp deft eager early fair fleet fond frank fresh gentle glad golden hardy honest humble jolly keen kind lively loyal lucid mellow merry mild modest neat nimble noble patient placid plucky polite prompt proud quiet rapid ready robust serene sharp silent sleek smart snug solid spry steady stoic sturdy subtle sunny swift tender tidy trusty upbeat vivid warm wise witty zesty'.split(
    ' ',
  );
const surnames =
  'abel babbage banach bell bernoulli bohr boole born bose cantor cauchy church clarke conway cook curie dalton darwin dijkstra dirac euler faraday fermat fermi feynman fibonacci fourier franklin galileo galois gauss germain goedel hamilton hamming heaviside hertz hilbert hooke hopper huffman huygens kelvin kepler knuth lagrange lamarr laplace leibniz lovelace maxwell mendel meitner minsky newton noether ohm pascal planck poincare ramanujan riemann ritchie shannon tesla turing volta watt wiles wirth yang zuse'.split(
    ' ',
  );

/** A free name: the first tries are bare, later ones carry a digit. */
export function generateName(isTaken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const base = `${adjectives[randomInt(adjectives.length)]}_${surnames[randomInt(surnames.length)]}`;
    const name = attempt < 5 ? base : `${base}${randomInt(10 ** Math.min(attempt - 4, 6))}`;
    if (!isTaken(name)) return name;
  }
}
