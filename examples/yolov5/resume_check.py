"""Asked before a resume: exit code 10 if the results have the row of the last epoch, else 0."""

import csv
import sys


def main(results, epochs):
    try:
        with open(results, encoding='utf-8', newline='') as file:
            rows = [row[0].strip() for row in csv.reader(file) if row]
    except FileNotFoundError:
        return 0
    done = [int(epoch) + 1 for epoch in rows if epoch.isdigit()]  # the script counts from 0
    return 10 if max(done, default=0) >= epochs else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
