// peak PROGRAM: runs it and prints on stderr the largest resident set, in KiB, of it, of those it waited for and of those that
// it left behind.
// A process of its own, and a small one: after an exec the kernel still counts the memory of the process that forked.
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct rusage used;
    int status = 0, other;
    long peak;
    if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1))
        return 2;
    pid_t child = fork();
    if (child == 0) {
        execv(argv[1], argv + 1);
        _exit(127);
    }
    if (wait4(child, &status, 0, &used) != child)
        return 1;
    peak = used.ru_maxrss;
    while (wait4(-1, &other, 0, &used) > 0)
        if (used.ru_maxrss > peak)
            peak = used.ru_maxrss;
    fprintf(stderr, "%ld", peak);
    return WEXITSTATUS(status);
}
