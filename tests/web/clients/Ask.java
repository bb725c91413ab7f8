import java.sql.*;
import java.util.Arrays;

/** Asks over the Postgres protocol: java Ask.java ADDRESS USER TOKEN SQL GENE... */
public class Ask {
    public static void main(String[] given) throws SQLException {
        try (Connection connection = DriverManager.getConnection(given[0], given[1], given[2])) {
            PreparedStatement statement = connection.prepareStatement(given[3]);
            statement.setArray(1, connection.createArrayOf("text", Arrays.copyOfRange(given, 4, given.length)));
            ResultSet rows = null;
            for (int n = 0; n < 7; n++) rows = statement.executeQuery();  // from the fifth on, prepared on the server
            while (rows.next()) System.out.println(rows.getString(1) + "," + rows.getLong(2) + "," + rows.getDouble(3));
            showColumns(connection.getMetaData());
            readInParts(connection);
            try {
                connection.createStatement().execute("DROP TABLE cells");
            } catch (SQLException refused) {
                System.out.println(refused.getSQLState() + " " + refused.getMessage());
            }
        }
    }

    static void showColumns(DatabaseMetaData about) throws SQLException {
        ResultSet columns = about.getColumns(null, null, "cells", null);
        String first = null;
        int n = 0;
        for (; columns.next(); n++) {
            String type = columns.getString("TYPE_NAME");
            if (n == 0) first = columns.getString("COLUMN_NAME") + " " + type + " " + columns.getString("REMARKS");
        }
        System.out.println(n + " columns: " + first);
    }

    static void readInParts(Connection connection) throws SQLException {
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        Statement statement = connection.createStatement();
        statement.setFetchSize(100);
        ResultSet rows = statement.executeQuery("SELECT cell_id FROM cells ORDER BY cell_id");
        int n = 0;
        while (rows.next()) n++;
        System.out.println(n + " rows in parts");
        connection.commit();
    }
}
