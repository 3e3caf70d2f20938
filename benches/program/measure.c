/* Runs a command several times. Prints the shortest and the median time, in
 * milliseconds, and the memory of its largest process, in KiB:
 *
 *     measure RUNS COMMAND [ARGUMENT...]
 *
 * Ends with 1 if the command fails. In C, because a process inherits the peak
 * memory of the one that starts it: this one needs almost none. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int runs = argc > 2 ? atoi(argv[1]) : 0;
    if (runs < 1 || runs > 1000) {
        fprintf(stderr, "usage: measure RUNS COMMAND [ARGUMENT...]\n");
        return 2;
    }
    double times[1000];
    for (int run = 0; run < runs; run++) {
        struct timespec from, to;
        int status;
        clock_gettime(CLOCK_MONOTONIC, &from);
        pid_t child = fork();
        if (child < 0) {
            perror("fork");
            return 1;
        }
        if (child == 0) {
            if (!freopen("/dev/null", "w", stdout)) _exit(126);
            execvp(argv[2], argv + 2);
            perror(argv[2]);
            _exit(127);
        }
        if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
            fprintf(stderr, "measure: the command failed\n");
            return 1;
        }
        clock_gettime(CLOCK_MONOTONIC, &to);
        times[run] = (to.tv_sec - from.tv_sec) * 1e3 + (to.tv_nsec - from.tv_nsec) / 1e6;
    }
    qsort(times, runs, sizeof *times, compare);
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    printf("%.1f %.1f %ld\n", times[0], times[runs / 2], usage.ru_maxrss);
    return 0;
}
