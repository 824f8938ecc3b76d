// A bounded series of samples: the newest `capacity` rows of a time and some numbers. NaN is an unknown number.

export class Ring {
  constructor(capacity, columns) {
    this.capacity = capacity;
    this.times = new Float64Array(capacity);
    this.columns = Array.from({ length: columns }, () => new Float64Array(capacity));
    this.start = 0;
    this.length = 0;
  }

  /** Adds a row; one that is not newer than the newest replaces it or is dropped. */
  push(time, values) {
    if (this.length > 0) {
      const newest = this.times[this.at(this.length - 1)];
      if (time < newest) {
        return;
      }
      if (time === newest) {
        this.write(this.at(this.length - 1), time, values);
        return;
      }
    }
    if (this.length < this.capacity) {
      this.length += 1;
    } else {
      this.start = (this.start + 1) % this.capacity;
    }
    this.write(this.at(this.length - 1), time, values);
  }

  write(index, time, values) {
    this.times[index] = time;
    this.columns.forEach((column, number) => {
      column[index] = values[number] ?? NaN;
    });
  }

  at(position) {
    return (this.start + position) % this.capacity;
  }

  clear() {
    this.start = 0;
    this.length = 0;
  }

  /** Time of the newest row, or null. */
  newest() {
    return this.length > 0 ? this.times[this.at(this.length - 1)] : null;
  }

  /** Rows from `from` on, the oldest first: `{times, columns}`. */
  since(from) {
    let first = 0;
    while (first < this.length && this.times[this.at(first)] < from) {
      first += 1;
    }
    const count = this.length - first;
    const copy = (array) => Float64Array.from({ length: count }, (_, index) => array[this.at(first + index)]);
    return { times: copy(this.times), columns: this.columns.map(copy) };
  }
}
